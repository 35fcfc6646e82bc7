import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('a stack on a tun, in a network namespace', () => {
  insideNamespace('tun.inside.ts')
})
