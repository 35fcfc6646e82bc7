import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('commands, against the tools that they are named after', () => {
  insideNamespace('commands.inside.ts')
})
