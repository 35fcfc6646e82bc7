import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('DHCPv6 with the servers that there are, in a network namespace', () => {
  insideNamespace('dhcp6.inside.ts')
})
