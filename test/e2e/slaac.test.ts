import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('router discovery with a kernel, radvd and rdisc6, in a network namespace', () => {
  insideNamespace('slaac.inside.ts')
})
