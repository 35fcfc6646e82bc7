import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('paths through a router of the kernel, in network namespaces', () => {
  insideNamespace('paths.inside.ts')
})
