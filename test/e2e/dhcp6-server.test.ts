import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('our DHCPv6 server with the clients and relays that there are, in a network namespace', () => {
  insideNamespace('dhcp6-server.inside.ts')
})
