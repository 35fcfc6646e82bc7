/** Two packet sockets at the ends of a veth: what is sent by one interface comes in by the other, with its VLAN tags and its offloads. */
import { openPacket } from '../../../src/backend/packet.ts'
import { NodeHost } from '../../../src/node/host.ts'
import { netifConformance } from '../../support/netif-conformance.ts'
import { sh } from './lab.ts'

const host = new NodeHost()

// The kernel's own chatter would count against bursts and budgets.
sh('for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done')

netifConformance(
  'packet sockets',
  async () => {
    sh('ip link add veth0 type veth peer name veth1; ip link set veth0 up arp off; ip link set veth1 up arp off')
    // Until the carrier is noticed, what is sent is lost.
    sh("for i in 0 1; do until ip link show veth$i | grep -q 'state UP'; do sleep 0.01; done; done")
    return {
      a: await openPacket({ name: 'veth0' }),
      b: await openPacket({ name: 'veth1' }),
      host,
      settle: () => new Promise((resolve) => setTimeout(resolve, 15)),
      close: () => void sh('ip link del veth0'),
    }
  },
  { refuses: false },
)
