import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('npm start, the command and the examples, in a network namespace', () => {
  insideNamespace('start.inside.ts')
})
