import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('signed connections with a real kernel, in a network namespace', () => {
  insideNamespace('signed.inside.ts')
})
