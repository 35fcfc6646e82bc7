import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('multicast groups and a Linux bridge, in a network namespace', () => {
  insideNamespace('groups.inside.ts')
})
