/** Multicast DNS with avahi on the host, over a tap; tshark is the judge of the messages. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scratchFolder } from '../../support/scratch.ts'
import { endTcpdump, HOST, judged, Lab, OURS, type Ran, run, type Served, serve, sh, tcpdump, untilSucceeds } from './lab.ts'

const dir = scratchFolder('mdns')
const wire = join(dir, 'mdns.pcap')
const bus = `unix:path=${join(dir, 'bus')}`

/** A message bus of our own: everybody may do everything. */
const BUS = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>${bus}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy></busconfig>`

const avahiConfig = (ipv6: 'yes' | 'no'): string => `[server]
host-name=kernel
allow-interfaces=tap0
use-ipv4=yes
use-ipv6=${ipv6}
ratelimit-interval-usec=1000
[publish]
publish-workstation=no
publish-hinfo=no
`

let lab: Lab
let dbus: Served
let avahi: Served
let dump: Served

/** avahi-daemon with its files where nobody else's are. */
function startAvahi(ipv6: 'yes' | 'no'): Promise<Served> {
  const file = join(dir, 'avahi.conf')
  writeFileSync(file, avahiConfig(ipv6))
  const daemon = `exec env DBUS_SYSTEM_BUS_ADDRESS=${bus} avahi-daemon --no-drop-root --no-chroot --no-rlimits -f ${file}`
  const inside = `mount -t tmpfs none /run && mkdir /run/avahi-daemon && ${daemon}`
  return serve('unshare', ['-m', 'sh', '-c', inside], /Server startup complete/)
}

function tool(command: string): Promise<Ran> {
  return run(`exec env DBUS_SYSTEM_BUS_ADDRESS=${bus} ${command}`)
}

beforeAll(async () => {
  sh('ip link set lo up; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad')
  lab = await Lab.open({ offload: false, config: { mdns: { listen: true } } })
  await lab.eth0.addAddress('fd00::2/64', { probe: false })
  writeFileSync(join(dir, 'bus.conf'), BUS)
  dump = await tcpdump(wire, 65535)
  dbus = await serve('sh', ['-c', `exec dbus-daemon --nofork --config-file=${join(dir, 'bus.conf')} --print-address=2`], /unix:/)
  avahi = await startAvahi('yes')
}, 30_000)

afterAll(async () => {
  await avahi?.stop('SIGTERM')
  await dbus?.stop('SIGTERM')
  await lab.close()
})

describe('avahi answers', () => {
  it('its name, for everything that takes one', async () => {
    const { address, family } = await lab.stack.dns.promises.lookup('kernel.local', { family: 4 })
    expect([address, family]).toEqual([HOST, 4])
    const all = await lab.stack.dns.promises.lookup('kernel.local', { all: true })
    expect(all.map((a) => a.address)).toContain(HOST)
    expect(all.some((a) => a.address.startsWith('fe80::') && a.address.endsWith('%eth0'))).toBe(true)
    const replies = []
    for await (const reply of lab.stack.ping('kernel.local', { count: 1 })) replies.push(reply.error)
    expect(replies).toEqual([undefined])
  })

  it('the name of its link-local address', async () => {
    const local = (await lab.stack.dns.promises.lookup('kernel.local', { all: true })).find((a) => a.address.startsWith('fe80'))!
    expect(await lab.stack.dns.promises.reverse(local.address.replace(/%.*/, ''))).toEqual(['kernel.local'])
  })
})

describe('avahi finds', () => {
  it('our name and our addresses', async () => {
    expect(await lab.stack.mdns.start('ours')).toBe('ours.local')
    expect((await tool('avahi-resolve -4 -n ours.local')).out).toBe(`ours.local\t${OURS}\n`)
    expect((await tool('avahi-resolve -6 -n ours.local')).out).toMatch(/^ours.local\t(fd00::2|fe80::[\da-f:]+)\n$/)
    expect((await tool(`avahi-resolve -a ${OURS}`)).out).toBe(`${OURS}\tours.local\n`)
  })

  it('our services, by type and by subtype, and that they go', async () => {
    const txt = { path: '/ü', flag: true } as const
    const service = lab.stack.mdns.publish({ name: 'Straße; 7.b', type: '_http._tcp', port: 80, txt, subtypes: ['_blog'] })
    await service.ready
    const found = await tool('avahi-browse -krpt _http._tcp')
    const resolved = found.out.split('\n').filter((line) => line.startsWith('=;tap0;IPv4'))
    expect(resolved.map((line) => line.split(';').slice(3))).toEqual([
      ['Stra\\195\\159e\\059\\0327\\.b', '_http._tcp', 'local', 'ours.local', OURS, '80', '"flag" "path=/\\195\\188"'],
    ])
    expect((await tool('avahi-browse -kpt _blog._sub._http._tcp')).out).toContain('+;tap0;IPv4;Stra')
    service.close()
    await untilSucceeds(`test -z "$(DBUS_SYSTEM_BUS_ADDRESS=${bus} avahi-browse -kpt _http._tcp)"`)
  })
})

describe('one name, two hosts', () => {
  it('avahi was first: we take another', async () => {
    expect(await lab.stack.mdns.start('kernel')).toBe('kernel-2.local')
  })

  it('we were first: avahi takes another', async () => {
    await avahi.stop('SIGTERM')
    expect(await lab.stack.mdns.start('kernel')).toBe('kernel.local')
    avahi = await startAvahi('no')
    expect(avahi.said).toMatch(/Host name conflict, retrying with kernel-2/)
    expect((await tool('avahi-resolve -4 -n kernel.local')).out).toBe(`kernel.local\t${OURS}\n`)
    expect((await lab.stack.dns.promises.lookup('kernel-2.local', { family: 4 })).address).toBe(HOST)
    await avahi.stop('SIGTERM')
  })
})

describe('avahi, IPv4 alone: with both families it says goodbye in IPv6 only', () => {
  beforeAll(async () => {
    avahi = await startAvahi('no')
  })

  it('services that it publishes come, change and go', async () => {
    const events: string[] = []
    const browser = lab.stack.mdns.browse('_http._tcp')
    const next = async (): Promise<void> => {
      const { value } = await browser.next()
      events.push(
        `${value.kind} ${value.service.name} ${value.service.host}:${value.service.port} ${JSON.stringify(value.service.txt)}`,
      )
    }
    const publisher = await serve(
      'env',
      [`DBUS_SYSTEM_BUS_ADDRESS=${bus}`, 'avahi-publish', '-s', 'Büro Nr. 1', '_http._tcp', '8080', 'path=/x', 'flag'],
      /Established/,
    )
    await next()
    await new Promise((resolve) => setTimeout(resolve, 2500)) // avahi has announced it twice by then, and says nothing more of it
    await publisher.stop('SIGTERM')
    await next()
    browser.close()
    const service = 'Büro Nr. 1 kernel-2.local:8080 {"path":"/x","flag":true}'
    // avahi turns the order of strings round.
    expect(events.map((e) => e.replace('{"flag":true,"path":"/x"}', '{"path":"/x","flag":true}'))).toEqual([
      `up ${service}`,
      `down ${service}`,
    ])
  })
})

describe('tshark', () => {
  it('finds nothing wrong with any of it', async () => {
    expect(await endTcpdump(dump)).toBe(0)
    expect((await judged(wire, 'mdns')).length).toBe(20)
    expect(await judged(wire, '_ws.malformed || udp.checksum.status == "Bad"')).toEqual([])
    expect(await judged(wire, 'mdns && ip.src == 10.0.0.2 && !(ip.ttl == 255 && udp.srcport == 5353 && dns.id == 0)')).toEqual([])
    expect(lab.troubles('mdns.conflicts').mdns).toBeUndefined()
  })
})
