import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('a switch between kernels, and in loops with a bridge', () => {
  insideNamespace('switch.inside.ts')
})
