import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap("the host's tools, in a network namespace", () => {
  insideNamespace('tools.inside.ts')
})
