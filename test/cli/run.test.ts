import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { NetError } from '../../src/base/errors.ts'
import { COMMANDS, run } from '../../src/cli/run.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { createWorld } from '../../src/sim/world.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import { readPcapng } from '../support/pcapng-reader.ts'
import { scratchFolder } from '../support/scratch.ts'

/** The command in a world of its own: its link leads to a stack with 10.0.0.1. */
function lab(openLink?: () => Promise<NetIf>) {
  const world = createWorld({ seed: 9 })
  const peer = world.stack({ name: 'peer' })
  const [near, far] = createPipe({ names: ['tap0', 'far'] })
  peer.attach(far, { addresses: ['10.0.0.1/24'] })
  const out: string[] = []
  const err: string[] = []
  const urls: string[] = []
  const stop = new AbortController()
  let announce = (): void => undefined
  const ready = new Promise<void>((resolve) => {
    announce = resolve
  })
  const context = {
    out(line: string) {
      out.push(line)
      if (line.startsWith('ready')) announce()
    },
    err: (line: string) => void err.push(line),
    openLink:
      openLink ??
      (async (url: string) => {
        urls.push(url)
        return urls.length === 1 ? near : createPipe({ names: [/\/\/([^?]*)/.exec(url)?.[1] ?? '', 'other'] })[0]
      }),
    platform: { host: world.host, random: world.host.random },
    stop: stop.signal,
    serveVde: async (_: unknown, directory: string) => ({ directory, close: async () => undefined }),
    serveGuests: async () => ({ close: async () => undefined }),
  }
  const start = (line: string): Promise<number> => run(line.split(' ').filter(Boolean), context, '1.2.3')
  /** Runs a command to its end. */
  const exec = (line: string): Promise<number> => world.settle(start(line), 3_600_000)
  /** Starts a server; gives a function that ends it. Rejects when it ends by itself before it is ready. */
  const serve = async (line: string): Promise<() => Promise<number>> => {
    const done = start(line)
    await world.settle(Promise.race([ready, done]))
    if (!out.some((l) => l.startsWith('ready'))) throw new Error(`${line} ended before it was ready: ${err}`)
    return () => {
      stop.abort()
      return world.settle(done)
    }
  }
  return { world, peer, near, out, err, urls, exec, serve, stop }
}

describe('help', () => {
  it('lists exactly the commands that there are', async () => {
    const { exec, out } = lab()
    expect(await exec('--help')).toBe(0)
    const listed = out.filter((l) => /^ {2}[a-z]/.test(l)).map((l) => l.trim().split(' ')[0])
    expect(listed).toEqual(COMMANDS.map((c) => c.name))
    expect(listed).toEqual([
      'echo',
      'inetd',
      'ping',
      'arping',
      'traceroute',
      'tracepath',
      'nc',
      'get',
      'serve',
      'resolve',
      'browse',
      'publish',
      'route',
      'mux',
      'switch',
      'tunnel',
      'dhcp',
      'dns',
      'dump',
      'bench',
      'script',
    ])
  })

  for (const command of COMMANDS) {
    it(`of ${command.name} names every option and has examples that can be run`, async () => {
      const { exec, out } = lab()
      expect(await exec(`${command.name} --help`)).toBe(0)
      const text = out.join('\n')
      expect(text).toContain(`Usage: tapstack ${command.name}`)
      for (const name of Object.keys(command.options)) expect(text).toContain(`--${name}`)
      for (const [line] of command.examples) {
        const example = lab()
        example.stop.abort()
        expect([0, 1, 130], example.err.join()).toContain(await example.exec(line))
        expect(example.err.filter((l) => l.startsWith('tapstack'))).toEqual([])
      }
    }, 30_000)
  }

  it('is an error without a command', async () => {
    const { exec, out, err } = lab()
    expect(await exec('')).toBe(2)
    expect(out).toEqual([])
    expect(err[0]).toContain('Usage')
    expect(await lab().exec('help ping')).toBe(0)
  })

  it('tells the version', async () => {
    const { exec, out } = lab()
    expect(await exec('--version')).toBe(0)
    expect(out).toEqual(['tapstack 1.2.3'])
  })
})

describe('wrong command lines', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['nonsense', /^tapstack: unknown command "nonsense": tapstack --help/],
    ['--nonsense', /^tapstack: unknown option "--nonsense"/],
    ['gateway', /^tapstack: gateway is not built yet: this version has echo, inetd, ping, .*dhcp/],
    ['dhcp --server', /^tapstack dhcp: --server: at least one --range is needed, as in 10\.0\.0\.100-10\.0\.0\.200/],
    ['dhcp --server -6 --router fd00::1', /^tapstack dhcp: --router is not for --server -6/],
    ['dhcp --server --range 10.0.0.7 --prefix fd00::/48', /^tapstack dhcp: --prefix is not for --server without -6/],
    ['dhcp --range 10.0.0.7', /^tapstack dhcp: --range is for --server/],
    ['dhcp --server --hostname a --range 10.0.0.7', /^tapstack dhcp: --hostname is not for --server/],
    ['dhcp --server --range 10.9.0.7', /^tapstack dhcp: the range 10\.9\.0\.7 is on no network of the server/],
    ['help gateway', /^tapstack: gateway is not built yet/],
    ['echo --nonsense', /^tapstack echo: Unknown option '--nonsense' \(tapstack echo --help\)$/],
    ['echo --port', /^tapstack echo: Option '-p, --port <value>' argument missing/],
    ['echo --port 70000', /^tapstack echo: --port 70000: a whole number from 1 to 65535 is expected/],
    ['echo surplus', /^tapstack echo: unexpected "surplus"/],
    ['echo --quiet --verbose', /^tapstack echo: --quiet and --verbose/],
    ['echo --address 10.0.0.300/24', /^tapstack echo: .*10\.0\.0\.300/],
    ['echo --address 10.0.0.2', /^tapstack echo: --address 10\.0\.0\.2: a prefix length is missing, as in 10\.0\.0\.2\/24/],
    ['echo --address 10.0.0.1/24', /^tapstack echo: --address 10\.0\.0\.1\/24: 10\.0\.0\.1 is the host's own address/],
    ['echo -a 10.3.0.2/24 -l tun://tun0?host=10.3.0.9/24,10.3.0.2/24', /^tapstack echo: .*10\.3\.0\.2 is the host's own/],
    ['echo --mac ff:ff:ff:ff:ff:ff', /^tapstack echo: .*MAC/],
    ['echo --gateway 10.9.9.9', /^tapstack echo: gateway 10\.9\.9\.9 is not on a network of eth0/],
    ['echo --mtu 9000', /^tapstack echo: mtu 9000/],
    ['echo --pcap /nowhere/x.pcapng', /^tapstack echo: cannot write the capture \/nowhere\/x\.pcapng: .*no such file/],
    ['ping', /^tapstack ping: a host is missing/],
    ['ping example.org', /^tapstack ping: example\.org: name or service not known: give a server by --dns$/],
    ['ping fd00::1', /^tapstack ping: fd00::1: network is unreachable: give a --gateway, or an --address on its network$/],
    ['ping -4 fd00::1', /^tapstack ping: fd00::1 is an IPv6 address, and -4 asks for another/],
    ['ping -6 10.0.0.1', /^tapstack ping: 10\.0\.0\.1 is an IPv4 address, and -6 asks for another/],
    ['ping fe80::1%wlan9', /^tapstack ping: Invalid IP address: fe80::1%wlan9: there is no interface wlan9/],
    ['ping -I 10.7.7.7 10.0.0.1', /^tapstack ping: --source 10\.7\.7\.7: that is no address of this stack/],
    ['ping -I eth7 10.0.0.1', /^tapstack ping: --source eth7: one of our addresses or interfaces/],
    ['echo --address fd00::2', /^tapstack echo: --address fd00::2: a prefix length is missing, as in fd00::2\/64/],
    ['echo -a fd00:0::1/64 -l tap://tap0?host=fd00::1/64', /^tapstack echo: .*is the host's own address/],
    ['route tap://tap0', /^tapstack route: two links are expected/],
    [
      'route tap://tap0 tap://tap1 -a 10.0.0.2/24',
      /^tapstack route: --address is expected once for each link: there are 2, and 1 of it/,
    ],
    [
      'route tap://tap0 tap://tap1 -a 10.0.0.2/24 -a 10.1.0.2',
      /^tapstack route: --address 10\.1\.0\.2: a prefix length is missing/,
    ],
    ['traceroute', /^tapstack traceroute: a host is missing/],
    ['traceroute -I -T 10.0.0.1', /^tapstack traceroute: -I, -T and -U: one of them/],
    ['traceroute -q 11 10.0.0.1', /^tapstack traceroute: --queries 11: a whole number from 1 to 10/],
    ['traceroute 10.0.0.1 big', /^tapstack traceroute: --BYTES big/],
    ['traceroute 192.168.7.7', /^tapstack traceroute: 192\.168\.7\.7: network is unreachable: give a --gateway/],
    ['traceroute example.org', /^tapstack traceroute: example\.org: name or service not known: give a server by --dns$/],
    ['ping -c 0 10.0.0.1', /^tapstack ping: --count 0/],
    ['ping -i x 10.0.0.1', /^tapstack ping: --interval x: seconds/],
    ['ping -s 65508 10.0.0.1', /^tapstack ping: --size 65508/],
    ['ping -M perhaps 10.0.0.1', /^tapstack ping: --pmtudisc perhaps: do or dont/],
    ['ping -c 1 192.168.7.7', /^tapstack ping: 192\.168\.7\.7: network is unreachable: give a --gateway/],
  ]
  for (const [line, message] of cases) {
    it(`tapstack ${line}`, async () => {
      const { exec, out, err, near } = lab()
      expect(await exec(line)).toBe(2)
      expect(out).toEqual([])
      expect(err).toEqual([expect.stringMatching(message)])
      // Nothing is left open: what is sent now is lost.
      near.close()
    })
  }

  it('says why a link cannot be opened, in one line', async () => {
    const refusal = new NetError('EPERM', { message: 'Cannot create tap0 (EPERM): permission denied:\n run it with sudo' })
    const { exec, err } = lab(() => Promise.reject(refusal))
    expect(await exec('inetd')).toBe(2)
    expect(err).toEqual(['tapstack inetd: Cannot create tap0 (EPERM): permission denied: run it with sudo'])
  })
})

describe('tapstack echo and inetd', () => {
  it('say when they answer and what happens, and end cleanly', async () => {
    const { world, peer, out, err, urls, serve } = lab()
    const end = await serve('echo --port 5000')
    expect(urls).toEqual(['tap://tap0?host=10.0.0.1/24'])
    expect(out).toEqual(['ready: 10.0.0.2 on tap0 (tcp 5000, udp 5000) offload csum,tso4,tso6'])
    let back = ''
    const bytes = new Uint8Array(100)
    peer.tcp.open(
      { remoteAddress: '10.0.0.2', remotePort: 5000, localPort: 4000 },
      {
        onConnect: (c) => void c.write(Buffer.from('hello'), 0, 5),
        onReadable(c) {
          back += Buffer.from(bytes.subarray(0, c.read(bytes, 0, 100))).toString()
          c.shutdown()
        },
      },
    )
    const udp = peer.udp.open()
    udp.bind(udp.any, 4001)
    udp.connect('10.0.0.2', 5000)
    udp.send(bytes, 0, 3, null, 0)
    world.run(1000)
    expect(back).toBe('hello')
    expect(udp.receive(new Datagram(new Uint8Array(10)))).toBe(true)
    expect(out.slice(1).sort()).toEqual([
      'echo: 10.0.0.1:4000 closed, 5 bytes in, 5 bytes out',
      'echo: 10.0.0.1:4000 connected',
      'echo: 10.0.0.1:4001 datagram of 3 bytes, answered',
    ])
    expect(await end()).toBe(0)
    udp.close()
    expect(world.host.holds).toBe(0)
    expect(err).toEqual([])
  })

  it('reset what is open when they end', async () => {
    const { world, peer, serve, out } = lab()
    const end = await serve('inetd --quiet --address 10.0.0.7/24 --mac 02:00:00:00:00:99 --name lan0 --mtu 1400')
    expect(out).toEqual(['ready: 10.0.0.7 on tap0 (tcp 7 9 13 19, udp 7 9 13 19) offload csum,tso4,tso6'])
    let code = ''
    let got = 0
    peer.tcp.open(
      { remoteAddress: '10.0.0.7', remotePort: 19 },
      {
        onReadable: (c) => {
          got += c.skip(10)
        },
        onClose: (_, error) => {
          code = String(error?.code)
        },
      },
    )
    world.run(500)
    expect(got).toBeGreaterThan(0)
    expect(peer.neighbors).toMatchObject([{ address: '10.0.0.7', mac: '02:00:00:00:00:99' }])
    expect(await end()).toBe(0)
    world.run(500)
    expect(code).toBe('ECONNRESET')
    expect(out.length).toBe(1)
  })

  it('end with an error when the link goes', async () => {
    const link = createPipe()[0]
    let closed: (() => void) | null = null
    const { attach } = link
    link.attach = (sink) => {
      closed = () => sink.closed(new Error('tap0 is gone: it was deleted'))
      attach.call(link, sink)
    }
    const { serve, err, world } = lab(async () => link)
    const end = await serve('echo')
    closed!()
    expect(await world.settle(end())).toBe(2)
    expect(err).toEqual(['tapstack echo: tap0 is gone: it was deleted'])
  })

  it('show frames and counters when asked, and capture', async () => {
    const dir = scratchFolder('cli')
    const file = join(dir, 'x.pcapng')
    const { exec, out } = lab()
    expect(await exec(`ping -c 1 -v --pcap ${file} 10.0.0.1`)).toBe(0)
    const text = out.join('\n')
    expect(text).toMatch(/^link: tap0: in memory.*captured$/m)
    expect(text).toMatch(/ > ARP who-has 10\.0\.0\.1 tell 10\.0\.0\.2$/m)
    expect(text).toMatch(/ < IP 10\.0\.0\.1 > 10\.0\.0\.2: ICMP echo reply/m)
    expect(text).toMatch(/^icmp: .*icmpOutEchos 1\b/m)
    const frames = out.filter((l) => /^ *\d+\.\d{6} [<>]/.test(l)).length
    expect(readPcapng(readFileSync(file)).packets.length).toBe(frames)
  })
})

describe('tapstack ping', () => {
  it('looks as ping(8) does', async () => {
    const { exec, out, world } = lab()
    expect(await exec('ping -c 3 10.0.0.1')).toBe(0)
    expect(out).toEqual([
      'PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.',
      '64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.000 ms',
      '64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.000 ms',
      '64 bytes from 10.0.0.1: icmp_seq=3 ttl=64 time=0.000 ms',
      '',
      '--- 10.0.0.1 ping statistics ---',
      '3 packets transmitted, 3 received, 0% packet loss, time 2000ms',
      'rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms',
    ])
    expect(world.elapsedMs).toBe(2000)
    expect(world.host.holds).toBe(0)
  })

  it('takes size, interval, ttl and quiet', async () => {
    const { exec, out, peer } = lab()
    expect(await exec('ping -q -c 5 -i 0.2 -s 4000 -t 9 10.0.0.1')).toBe(0)
    expect(out).toEqual([
      'PING 10.0.0.1 (10.0.0.1) 4000(4028) bytes of data.',
      '',
      '--- 10.0.0.1 ping statistics ---',
      '5 packets transmitted, 5 received, 0% packet loss, time 800ms',
      'rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms',
    ])
    expect(peer.counters().ip).toMatchObject({ ipReasmOKs: 5 })
  })

  it('ends with 1 when nobody answers, and says who says so', async () => {
    const { exec, out } = lab()
    expect(await exec('ping -c 2 10.0.0.9')).toBe(1)
    expect(out).toEqual([
      'PING 10.0.0.9 (10.0.0.9) 56(84) bytes of data.',
      'From 10.0.0.2 icmp_seq=1 Destination Host Unreachable',
      'From 10.0.0.2 icmp_seq=2 Destination Host Unreachable',
      '',
      '--- 10.0.0.9 ping statistics ---',
      '2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 3000ms',
    ])
  })

  it('waits for the last replies as long as -W says', async () => {
    const silent = createPipe()[0]
    const { exec, out, world } = lab(async () => silent)
    expect(await exec('ping -c 1 -W 2.5 10.0.0.1')).toBe(1)
    expect(out.at(-1)).toBe('1 packets transmitted, 0 received, 100% packet loss, time 2500ms')
    expect(world.elapsedMs).toBe(2500)
  })

  it('does not fragment with -M do, and says what fits', async () => {
    const { exec, out, err } = lab()
    expect(await exec('ping -c 1 -M do -s 1473 10.0.0.1')).toBe(1)
    expect(err).toEqual(['ping: 10.0.0.1: message too long, mtu=1500'])
    expect(out.at(-1)).toBe('1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms')
    const fits = lab()
    expect(await fits.exec('ping -c 1 -M do -s 1472 10.0.0.1')).toBe(0)
  })

  it('shows its statistics when it is stopped', async () => {
    const { exec, out, stop, world } = lab()
    world.host.after(2500, { run: () => stop.abort() })
    expect(await exec('ping 10.0.0.1')).toBe(0)
    expect(out.at(-2)).toBe('3 packets transmitted, 3 received, 0% packet loss, time 2500ms')
    expect(world.host.holds).toBe(0)
  })
})

describe('--slaac', () => {
  it('takes its address from a router, and tells what it got', async () => {
    const { exec, out, err, peer } = lab()
    peer.setForwarding({ v6: true })
    peer.interfaces[0].advertise({ prefixes: ['fd00:1::/64'], rdnss: ['fd00:1::53'], dnssl: ['example.org'] })
    void peer.interfaces[0].addAddress('fd00:1::1/64')
    expect(await exec('ping --slaac -c 1 fd00:1::1'), err.join()).toBe(0)
    expect(out[0]).toMatch(/^slaac: fd00:1::[0-9a-f:]+\/64 by fe80::[0-9a-f:]+%eth0, DNS fd00:1::53 \(example.org\)$/)
    expect(out.join()).toContain('64 bytes from fd00:1::1')
  })

  it('says what is missing', async () => {
    const { exec, err } = lab()
    expect(await exec('ping --slaac -c 1 fd00:1::1')).toBe(2)
    expect(err).toEqual(['tapstack ping: no router advertised itself on eth0 within 20 s: is there an IPv6 router on this link?'])
  })
})
