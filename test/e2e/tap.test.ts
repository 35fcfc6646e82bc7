import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('taps of a real kernel, in a network namespace', () => {
  insideNamespace('tap.inside.ts')
})

describeTap('a tap keeps the contract of a NetIf', () => {
  insideNamespace('tap-conformance.inside.ts')
})
