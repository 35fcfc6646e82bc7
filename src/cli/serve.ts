/** `tapstack echo` and `tapstack inetd`: the small services on a link, until they are told to stop. */
import { endpointText } from '../ip/zone.ts'
import { type ServiceName, type Services, startServices } from '../services/inetd.ts'
import type { ServiceWatcher } from '../services/service.ts'
import type { Stack } from '../stack/stack.ts'
import type { RawConnection } from '../tcp/api.ts'
import { type Command, type Context, integer, type Values } from './command.ts'
import { NETWORK_OPTIONS, type Network, openNetwork, stopped } from './network.ts'

export const echo: Command = {
  name: 'echo',
  summary: 'send back whatever comes, over TCP and UDP',
  usage: '[options]',
  about: ['Answers ARP and ping as well. Prints a line that begins with "ready" once it answers, and ends with Ctrl-C.'],
  options: { ...NETWORK_OPTIONS, port: { type: 'string', short: 'p', value: 'N', text: 'TCP and UDP port (7)' } },
  words: 0,
  examples: [
    ['echo', 'on tap0, as 10.0.0.2; then: ping 10.0.0.2; nc 10.0.0.2 7'],
    ['echo --port 5000 --address 192.168.9.2/24 --link tap://tap1?host=192.168.9.1/24', 'elsewhere'],
    [
      'echo -l tap://tap0?host=10.0.0.1/24,fd00::1/64 -a 10.0.0.2/24 -a fd00::2/64',
      'in both families; then: ping fd00::2; nc fd00::2 7',
    ],
    ['echo --pcap echo.pcapng', 'and a capture of all that happens'],
  ],
  failure: 2,
  run: (context, values) => serve(context, values, ['echo'], { echo: integer(values, 'port', 1, 65535, 7) }),
}

export const inetd: Command = {
  name: 'inetd',
  summary: 'echo 7, discard 9, daytime 13, chargen 19, over TCP and UDP',
  usage: '[options]',
  about: [
    'RFC 862, 863, 867, 864. Answers ARP and ping as well. Prints a line that begins with "ready" once it answers,',
    'and ends with Ctrl-C.',
  ],
  options: NETWORK_OPTIONS,
  words: 0,
  examples: [
    ['inetd', 'on tap0, as 10.0.0.2; then: nc 10.0.0.2 13'],
    ['inetd --quiet --link tap://tap0?offload=off', 'for measurements: nothing is printed but "ready"'],
  ],
  failure: 2,
  run: (context, values) => serve(context, values, ['echo', 'discard', 'daytime', 'chargen'], {}),
}

async function serve(
  context: Context,
  values: Values,
  names: readonly ServiceName[],
  ports: Partial<Record<ServiceName, number>>,
): Promise<number> {
  const network = await openNetwork(context, values)
  try {
    const watcher = values.quiet === true ? {} : printer(context, network.stack)
    const services = startServices(network.stack, { names, ports, watcher })
    context.out(readyLine(network, services))
    await Promise.race([stopped(context), network.broken])
    services.close()
    return 0
  } finally {
    await network.close()
  }
}

/** `ready: 10.0.0.2 on tap0 (tcp 7 9 13 19, udp 7 9 13 19) offload csum,tso4,tso6`. */
function readyLine(network: Network, services: Services): string {
  const ports = Object.values(services.ports).join(' ')
  const offload = /\b(no offload|offload [a-z0-9]+(,[a-z0-9]+)*)/.exec(network.link.describe?.() ?? '')
  return `ready: ${network.address} on ${network.link.name} (tcp ${ports}, udp ${ports})${offload === null ? '' : ` ${offload[0]}`}`
}

function printer(context: Context, stack: Stack): ServiceWatcher {
  const peer = (c: RawConnection): string => endpointText(stack.ipLayer, c.remoteAddress, c.remotePort)
  return {
    opened: (service, c) => context.out(`${service}: ${peer(c)} connected`),
    closed: (service, c, error) =>
      context.out(
        `${service}: ${peer(c)} ${error === null ? 'closed' : `broke (${error.code})`}, ` +
          `${c.bytesRead} bytes in, ${c.bytesWritten} bytes out`,
      ),
    datagram: (service, d, answered) =>
      context.out(
        `${service}: ${endpointText(stack.ipLayer, d.address, d.port)} datagram of ${d.size} bytes${answered ? ', answered' : ''}`,
      ),
  }
}
