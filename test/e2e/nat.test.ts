import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('a network behind the stack, translated, in network namespaces', () => {
  insideNamespace('nat.inside.ts')
})
