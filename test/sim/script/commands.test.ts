/** Commands in backticks: what each comes to, and that what is not known is said. */
import { describe, expect, it } from 'vitest'
import { configure, defaults } from '../../../src/base/config.ts'
import type { ConfigValues, Effect } from '../../../src/sim/script/ast.ts'
import { effectsOf } from '../../../src/sim/script/commands.ts'
import { Unsupported } from '../../../src/sim/script/problem.ts'
import { splitCommands } from '../../../src/sim/script/shell.ts'
import { sysctlTables } from '../../../src/sim/script/sysctl.ts'

const tcp = (values: ConfigValues): Effect => ({ kind: 'config', section: 'tcp', values })
const route = (values: Partial<Effect & { kind: 'route' }>): Effect => ({
  kind: 'route',
  family: null,
  mtu: null,
  mtuLocked: false,
  advertisedMss: null,
  initialWindowSegments: null,
  congestion: null,
  rtoMinMs: null,
  ...values,
})

describe('words', () => {
  it.each<[string, string[][][]]>([
    ['a b; c && d', [[['a', 'b']], [['c']], [['d']]]],
    ['a "b c" \'d $e\' f\\ g', [[['a', 'b c', 'd $e', 'f g']]]],
    ['a x="1 2"y', [[['a', 'x=1 2y']]]],
    ['a \\\n  b # c\nd', [[['a', 'b']], [['d']]]],
    ['a > /dev/null 2>&1 | b 2>/dev/null &', [[['a'], ['b']]]],
    ['a || b\nc', [[['a']], [['c']]]],
    ['echo 3 > /sys/x', [[['echo', '3', '>', '/sys/x']]]],
    ['a $((15*1024*1024)) "$((1 + 2)) x"', [[['a', '15728640', '3 x']]]],
    ['\n\n', []],
  ])('%j', (text, words) => {
    expect(splitCommands(text)).toEqual(words)
  })

  it.each(['a `b`', 'a $HOME', 'a $(b)', 'a $((b))'])('refuses %s', (text) => {
    expect(() => splitCommands(text)).toThrow(Unsupported)
  })
})

describe('effects', () => {
  it.each<[string, Effect[]]>([
    ['sysctl -q net.ipv4.tcp_sack=0', [tcp({ sack: false })]],
    ['sysctl -w net.ipv4.tcp_syn_retries=3 net.ipv4.tcp_retries2=8', [tcp({ synRetries: 3 }), tcp({ retries: 8 })]],
    ['sysctl net.ipv4.tcp_sack', []],
    [
      'sysctl -q net.ipv4.tcp_rmem="4096 540000 15728640"',
      [tcp({ receiveBufferInitialBytes: 540000, receiveBufferMaxBytes: 15728640 })],
    ],
    ['sysctl -q net.ipv4.tcp_congestion_control=reno', [tcp({ congestion: 'newreno' })]],
    ['sysctl -q net.ipv4.tcp_keepalive_time=30', [tcp({ keepAliveIdleMs: 30_000 })]],
    ['sysctl -q net.ipv4.tcp_rto_min_us=5000', [tcp({ rtoMinMs: 5 })]],
    ['sysctl -q net.ipv4.ip_default_ttl=9', [{ kind: 'config', section: 'ipv4', values: { ttl: 9 } }]],
    [
      '../../common/set_sysctls.py /proc/sys/net/ipv4/tcp_timestamps=0 /proc/sys/net/ipv4/tcp_fack=1',
      [tcp({ timestamps: false })],
    ],
    ['sysctl -w net.inet.tcp.rfc1323=0', [tcp({ windowScale: false, timestamps: false })]],
    ['sysctl net.inet.tcp.rexmit_initial=3000', [tcp({ rtoInitialMs: 3000 })]],
    ['sysctl -w net.inet.tcp.rexmit_min=30', [tcp({ rtoMinMs: 230 })]],
    ['sysctl -w net.inet.tcp.delacktime=100', [tcp({ delayedAckMs: 100, delayedAckMaxMs: 100 })]],
    ['sysctl -q net.ipv4.tcp_mem="1 2 3"', [tcp({ memoryLowBytes: 4096, memoryPressureBytes: 8192, memoryBytes: 12288 })]],
    [
      'sysctl -q net.ipv4.tcp_ecn=3 net.ipv4.tcp_ecn_option=0',
      [tcp({ ecn: 'accurate', ecnAcceptAccurate: true, ecnControlPackets: true }), tcp({ ecnOption: 'never' })],
    ],
    ['sysctl -q net.ipv4.tcp_fastopen=0x602', [tcp({ fastOpen: 0x602 })]],
    [
      'sysctl -q net.ipv4.tcp_fastopen_key=a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4,0-0-0-0',
      [tcp({ fastOpenKeys: ['a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4', '0-0-0-0'] })],
    ],
    [
      'sysctl net.inet.tcp.fastopen.client_enable=0',
      [{ kind: 'config-bit', section: 'tcp', name: 'fastOpen', bit: 1, on: false }],
    ],
    ['tc qdisc replace dev tun0 root fq', [tcp({ pacing: true }), { kind: 'link-queue', full: false }]],
    ['tc qdisc add dev tun0 root pfifo limit 0', [tcp({ pacing: false }), { kind: 'link-queue', full: true }]],
    ['dd bs=10 count=5 if=/dev/zero of=/tmp/x status=none', [{ kind: 'file', path: '/tmp/x', bytes: 50 }]],
    ['rm -f /tmp/x', [{ kind: 'file', path: '/tmp/x', bytes: null }]],
    ['sysctl -w net.inet.tcp.msl=30000', [tcp({ timeWaitMs: 60_000 })]],
    ['sysctl -w net.inet.tcp.hostcache.purgenow=1', [{ kind: 'flush-metrics' }]],
    ['sysctl -w kern.ipc.maxsockbuf=2097152; kldload cc_dctcp', [tcp({ receiveBufferMaxBytes: 2097152 })]],
    ['ip tcp_metrics flush all > /dev/null 2>&1', [{ kind: 'flush-metrics' }]],
    ['ip link set dev tun0 mtu 1400', [{ kind: 'link-mtu', mtu: 1400 }]],
    ['ip link set tun0 down', [{ kind: 'link-state', up: false }]],
    [
      'ifconfig tun0 mtu 900 up',
      [
        { kind: 'link-mtu', mtu: 900 },
        { kind: 'link-state', up: true },
      ],
    ],
    [
      'ip route add 192.0.2.1 via 192.168.0.2 dev tun0 advmss 600 mtu lock 640 initcwnd 11',
      [route({ family: 4, mtu: 640, mtuLocked: true, advertisedMss: 600, initialWindowSegments: 11 })],
    ],
    [
      'ip -4 route change 192.0.2.0/24 dev tun0 congctl reno rto_min 5ms',
      [route({ family: 4, congestion: 'newreno', rtoMinMs: 5 })],
    ],
    ['ip ro replace default via 192.168.0.2 rto_min lock 1s', [route({ family: 4, rtoMinMs: 1000 })]],
    ['ip -6 route replace 2001:db8::/32 via fe80::1 dev tun0 mtu 1400', [route({ family: 6, mtu: 1400 })]],
    ['ip route replace default dev tun0 initcwnd 4', [route({ initialWindowSegments: 4 })]],
    ['sleep 0.1', [{ kind: 'sleep', us: 100_000 }]],
    ['ethtool -K tun0 gso off tso off', []],
    ['nstat > /dev/null', [{ kind: 'counters-marked' }]],
    ['nstat | grep TcpExtOutOfWindowIcmps > /dev/null', [{ kind: 'counter-moved', name: 'OutOfWindowIcmps', by: null }]],
    ['nstat -s | grep TcpExtTCPTimeouts | grep -q " 1 "', [{ kind: 'counter-moved', name: 'TCPTimeouts', by: 1 }]],
    ['grep " 0A " /proc/net/tcp /proc/net/tcp6 | grep ":1F90"', [{ kind: 'count-sockets', state: 'LISTEN', expected: null }]],
    [
      'sockstat -4 -P tcp -s | grep packetdril | grep -c TIME_WAIT | grep 1',
      [{ kind: 'count-sockets', state: 'TIME-WAIT', expected: 1 }],
    ],
    [
      'kldstat -q -m tcpmd5 || kldload tcpmd5; echo \'add 192.168.0.1 192.0.2.1 tcp 0x1000 -A tcp-md5 "secret" ;\' | setkey -c',
      [{ kind: 'md5-key', source: '192.168.0.1', destination: '192.0.2.1', key: 'secret' }],
    ],
    ['setkey -F', [{ kind: 'md5-keys-flushed' }]],
    [`/tmp/sysctl_restore_\${PPID}.sh`, []],
    ["bash -c 'sysctl -q net.ipv4.tcp_sack=1'", [tcp({ sack: true })]],
    ['dmesg -c; tcpdump -i tun0 -w x &', []],
  ])('%s', (text, effects) => {
    expect(effectsOf(text)).toEqual(effects)
  })

  it('of a file come from the caller, by what is in it', () => {
    const files: { [path: string]: string } = {
      './defaults.sh': '#!/bin/bash\n# Values.\nsysctl -q net.ipv4.tcp_sack=0\n. ./more.sh\n',
      './more.sh': 'sleep 1',
      './loop.sh': './loop.sh',
    }
    const includes = (path: string): string | null => files[path] ?? null
    expect(effectsOf('./defaults.sh', includes)).toEqual([tcp({ sack: false }), { kind: 'sleep', us: 1_000_000 }])
    expect(() => effectsOf('./loop.sh', includes)).toThrow('./loop.sh runs itself')
    expect(() => effectsOf('./other.sh', includes)).toThrow('command: ./other.sh')
  })

  it('of defaults.sh are known without the file', () => {
    const effects = effectsOf('../common/defaults.sh\n  sysctl -q net.ipv4.tcp_syn_retries=2')
    expect(effects[0]).toEqual({ kind: 'flush-metrics' })
    expect(effects).toContainEqual(tcp({ receiveBufferInitialBytes: 540000, receiveBufferMaxBytes: 15728640 }))
    expect(effects).toContainEqual(tcp({ congestion: 'cubic' }))
    expect(effects.at(-1)).toEqual(tcp({ synRetries: 2 }))
  })

  it.each([
    'iptables -A OUTPUT -j DROP',
    'rm -rf /',
    'python3 x.py',
    'cat /proc/net/tcp | wc -l',
    'ip addr add 10.0.0.1 dev tun0',
    'ip link set dev tun0 mtu many',
    'ip route add 192.0.2.1 features ecn',
    'tc qdisc add dev tun0 root netem delay 10ms',
    'dd if=/dev/random of=/tmp/x count=1',
    'sysctl net.ipv4.tcp_sack=x',
    'sysctl net.ipv4.tcp_rmem=5',
    'sysctl net.ipv4.tcp_thin_linear_timeouts=1',
    'sysctl net.ipv4.tcp_congestion_control=vegas',
    'sysctl net.inet.tcp.functions_default=rack',
    'sysctl net.inet.tcp.no_such=1',
    'echo 1 > /etc/passwd',
    'setkey -D',
    'if [ -e x ]; then true; fi',
  ])('refuses %s', (text) => {
    expect(() => effectsOf(text)).toThrow(Unsupported)
  })
})

describe('the tables', () => {
  const { linux, freebsd } = sysctlTables()
  const lines = Object.entries({ ...linux, ...freebsd })

  it('name values of the config only', () => {
    const config = defaults() as unknown as { [section: string]: { [name: string]: unknown } }
    const missing = lines.flatMap(([name, line]) => {
      if (line === 'ignored' || 'only' in line || 'effect' in line || 'connectLimit' in line || line.otherwise !== undefined)
        return []
      if ('bit' in line) return typeof config.tcp[line.of] === 'number' ? [] : [name]
      const of = config[line.section ?? 'tcp']
      const keys =
        'flag' in line
          ? [line.flag]
          : 'number' in line
            ? [line.number].flat()
            : 'text' in line
              ? [line.text]
              : 'texts' in line
                ? [line.texts]
                : 'list' in line
                  ? line.list.filter((k) => k !== null)
                  : Object.values(line.choice).flatMap((values) => Object.keys(values))
      return keys.filter((k) => !(k in of)).map((k) => `${name}: ${k}`)
    })
    expect(missing).toEqual([])
  })

  it("are those that the stack's defaults can be set by", () => {
    for (const effect of effectsOf('defaults.sh')) {
      if (effect.kind === 'config') expect(() => configure({ [effect.section]: effect.values })).not.toThrow()
    }
  })
})
