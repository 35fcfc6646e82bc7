import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('a rough link and a crowd, in a network namespace', () => {
  insideNamespace('rough.inside.ts')
})
