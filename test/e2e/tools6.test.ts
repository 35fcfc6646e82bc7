import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap("the host's tools over IPv6, in a network namespace", () => {
  insideNamespace('tools6.inside.ts')
})
