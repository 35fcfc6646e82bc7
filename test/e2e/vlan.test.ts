import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('VLANs through a Linux kernel, in a network namespace', () => {
  insideNamespace('vlan.inside.ts')
})
