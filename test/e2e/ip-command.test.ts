import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('stack.ip() beside ip(8), in a network namespace', () => {
  insideNamespace('ip-command.inside.ts')
})
