import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('a multiplexer on a tap, in a network namespace', () => {
  insideNamespace('mux.inside.ts')
})
