import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('the stack as a client of the host, in a network namespace', () => {
  insideNamespace('clients.inside.ts')
})
