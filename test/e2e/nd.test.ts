import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('neighbor discovery with a kernel, in a network namespace', () => {
  insideNamespace('nd.inside.ts')
})
