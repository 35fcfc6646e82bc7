/** The parser of scripts: what each form of the language comes to. */
import { describe, expect, it } from 'vitest'
import {
  ACK,
  AE,
  type CommandEvent,
  CWR,
  ECE,
  type Expression,
  FIN,
  type IcmpSpec,
  type PacketEvent,
  type PacketSpec,
  PSH,
  RST,
  type Script,
  SYN,
  type Syscall,
  type SyscallEvent,
  type TcpOptionSpec,
  type TcpSpec,
  type UdpSpec,
  URG,
} from '../../../src/sim/script/ast.ts'
import { type ParseOptions, parse } from '../../../src/sim/script/parse.ts'

const one = (text: string, options?: ParseOptions): Script['events'][number] => {
  const { events } = parse(text, options)
  expect(events).toHaveLength(1)
  return events[0]
}
const packet = (text: string, options?: ParseOptions): PacketSpec => (one(`+0 ${text}`, options) as PacketEvent).packet
const tcp = (text: string, options?: ParseOptions): TcpSpec => packet(text, options).body as TcpSpec
const option = (text: string, options?: ParseOptions): TcpOptionSpec => {
  const list = tcp(`< . 1:1(0) ack 1 win 0 <${text}>`, options).options ?? []
  expect(list).toHaveLength(1)
  return list[0]
}
const call = (text: string, options?: ParseOptions): Syscall => (one(`+0 ${text}`, options) as SyscallEvent).call
const argument = (text: string, options?: ParseOptions): Expression => call(`f(${text}) = 0`, options).args[0]

/** An expression as text, positions left out. */
function plain(e: Expression): string {
  switch (e.kind) {
    case 'any':
      return '...'
    case 'int':
      return String(e.value)
    case 'word':
      return e.name
    case 'string':
      return `${JSON.stringify(e.value)}${e.open ? '...' : ''}`
    case 'binary':
      return `(${plain(e.left)} ${e.op} ${plain(e.right)})`
    case 'list':
      return `[${e.items.map(plain).join(', ')}]`
    case 'call':
      return `${e.name}(${e.args.map(plain).join(', ')})`
    case 'struct':
      return `{${e.fields.map((f) => `${f.name === '' ? '' : `${f.name}${f.count === null ? '' : `(${plain(f.count)})`}=`}${plain(f.value)}`).join(', ')}}`
  }
}

describe('times', () => {
  it.each([
    ['0 close(3) = 0', { kind: 'absolute', us: 0 }],
    ['1.5 close(3) = 0', { kind: 'absolute', us: 1_500_000 }],
    ['.000001 close(3) = 0', { kind: 'absolute', us: 1 }],
    ['+0 close(3) = 0', { kind: 'relative', us: 0 }],
    ['+.1 close(3) = 0', { kind: 'relative', us: 100_000 }],
    ['+ 0.25 close(3) = 0', { kind: 'relative', us: 250_000 }],
    ['* > . 1:1(0) ack 1', { kind: 'any' }],
    ['0.1~0.2 > . 1:1(0) ack 1', { kind: 'absolute-range', us: 100_000, endUs: 200_000 }],
    ['+.3~+.303 > . 1:1(0) ack 1', { kind: 'relative-range', us: 300_000, endUs: 303_000 }],
    ['+0.001 ~ +0.002 > . 1:1(0) ack 1', { kind: 'relative-range', us: 1_000, endUs: 2_000 }],
  ])('%s', (text, time) => {
    expect(one(text).time).toEqual(time)
  })

  it.each([
    ['0...0.2 accept(3, ..., ...) = 4', 0, 200_000],
    ['0.1....5 read(4, ..., 10) = 10', 100_000, 500_000],
    ['+0...0.200 accept(3, ..., ...) = 4', 0, 200_000],
    ['+.002 ... 0.004 connect(3, ..., ...) = 0', 2_000, 4_000],
    ['1.00...16.00 connect(3, ..., ...) = -1 ETIMEDOUT (Operation timed out)', 1_000_000, 16_000_000],
  ])('of calls that block: %s', (text, us, endUs) => {
    const event = one(text) as SyscallEvent
    expect(event.time).toMatchObject({ us })
    expect(event.call.endUs).toBe(endUs)
  })

  it('says where an event stands and what it says', () => {
    const { events } = parse('// first\n  0 socket(...,\n     SOCK_STREAM, 0) = 3 // why\n\n+0 < . 1:1(0)  ack 1 win 5')
    expect(events.map((e) => [e.position, e.text])).toEqual([
      [{ line: 2, column: 3 }, 'socket(..., SOCK_STREAM, 0) = 3'],
      [{ line: 5, column: 1 }, '< . 1:1(0) ack 1 win 5'],
    ])
  })
})

describe('TCP', () => {
  it('has flags, numbers, window, urgent pointer and options', () => {
    expect(tcp('< FP.U 1001:2001(1000) ack 17 win 514 urg 5 <nop,nop,TS val 5 ecr 6>')).toEqual({
      kind: 'tcp',
      flags: FIN | PSH | ACK | URG,
      ace: false,
      seq: { start: 1001, length: 1000, absolute: false, any: false },
      ack: 17,
      window: 514,
      urgent: 5,
      options: [{ kind: 'nop' }, { kind: 'nop' }, { kind: 'TS', val: 5, ecr: 6, ecrAbsolute: false }],
    })
  })

  it.each([
    ['S', SYN],
    ['S.', SYN | ACK],
    ['.', ACK],
    ['-', 0],
    ['R.', RST | ACK],
    ['SEW', SYN | ECE | CWR],
    ['SEWA', SYN | ECE | CWR | AE],
    ['SAW.', SYN | AE | CWR | ACK],
    ['EAP.', ECE | AE | PSH | ACK],
    ['5.', AE | ECE | ACK],
    ['P6.', AE | CWR | PSH | ACK],
    ['F2.', FIN | CWR | ACK],
    ['P.5', PSH | ACK | AE | ECE],
    ['0.', ACK],
  ])('flags %s', (letters, flags) => {
    const spec = tcp(`> ${letters} 1:1(0) ack 1`)
    expect(spec.flags).toBe(flags)
    expect(spec.ace).toBe(/\d/.test(letters))
  })

  it('leaves out what is not said', () => {
    expect(tcp('> R 1:1(0)')).toMatchObject({ ack: null, window: null, urgent: 0, options: [] })
    expect(tcp('> . 1:1(0) ack 1 <...>').options).toBeNull()
    expect(packet('> . 1:1(0) ack 1')).toMatchObject({
      direction: 'out',
      ports: null,
      ip: { ecn: null, tos: null, dscp: null, ttl: null, flowLabel: null },
    })
  })

  it('has numbers on the wire, numbers that do not matter, and numbers that wrap', () => {
    expect(tcp('> R. 0:0(0)! ack 1 win 0').seq).toEqual({ start: 0, length: 0, absolute: true, any: false })
    expect(tcp('> . ...(1000) ack 1').seq).toEqual({ start: 0, length: 1000, absolute: false, any: true })
    expect(tcp('< . 4294967295:1(2) ack 1 win 1').seq).toMatchObject({ start: 4294967295, length: 2 })
  })

  it('has ports', () => {
    expect(packet('< 8080 > 57005 S 0:0(0) win 5').ports).toEqual({ source: 8080, destination: 57005 })
    expect(packet('> [ect0] 1 > 2 5. 1:1(0) ack 1').ports).toEqual({ source: 1, destination: 2 })
  })

  it.each<[string, Partial<PacketSpec['ip']>]>([
    ['[ect0]', { ecn: 'ect0' }],
    ['[noecn]', { ecn: 'noecn' }],
    ['[ce]', { ecn: 'ce' }],
    ['[ect01]', { ecn: 'ect01' }],
    ['(ttl 3)', { ttl: 3 }],
    ['(tos 0x10)', { tos: 0x10 }],
    ['[tos 0xb8, flowlabel 0xabcde]', { tos: 0xb8, flowLabel: 0xabcde }],
    ['[ect1, ttl 64]', { ecn: 'ect1', ttl: 64 }],
    ['[dscp af21, ecn ce, hlim 5]', { dscp: 18, ecn: 'ce', ttl: 5 }],
    ['[dscp EF]', { dscp: 46 }],
    ['(dscp cs6)', { dscp: 48 }],
    ['(dscp 0x2e)', { dscp: 46 }],
  ])('%s of IP', (text, ip) => {
    expect(packet(`>${text} . 1:1(0) ack 1`).ip).toEqual({ ecn: null, tos: null, dscp: null, ttl: null, flowLabel: null, ...ip })
  })

  it.each<[string, TcpOptionSpec]>([
    ['nop', { kind: 'nop' }],
    ['eol', { kind: 'eol' }],
    ['mss 1460', { kind: 'mss', value: 1460 }],
    ['wscale 14', { kind: 'wscale', shift: 14 }],
    ['sackOK', { kind: 'sackOK' }],
    [
      'sack 1:1001 2001:3001',
      {
        kind: 'sack',
        blocks: [
          { left: 1, right: 1001 },
          { left: 2001, right: 3001 },
        ],
      },
    ],
    ['TS val 100 ecr 0', { kind: 'TS', val: 100, ecr: 0, ecrAbsolute: false }],
    ['TS val ... ecr 100!', { kind: 'TS', val: null, ecr: 100, ecrAbsolute: true }],
    ['FO', { kind: 'FO', cookie: [], experimental: false }],
    ['FO 0123456789abcdef', { kind: 'FO', cookie: [1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef], experimental: false }],
    ['FO 01234567', { kind: 'FO', cookie: [1, 0x23, 0x45, 0x67], experimental: false }],
    ['FOEXP abcd', { kind: 'FO', cookie: [0xab, 0xcd], experimental: true }],
    ['exp-FO', { kind: 'FO', cookie: [], experimental: true }],
    ['md5 000102030405060708090a0b0c0d0e0f', { kind: 'md5', digest: Array.from({ length: 16 }, (_, i) => i), mode: 'bytes' }],
    ['md5 valid', { kind: 'md5', digest: [], mode: 'valid' }],
    ['md5 invalid', { kind: 'md5', digest: [], mode: 'invalid' }],
    ['ECN e1b 1 ceb 0 e0b 1001', { kind: 'accecn', order: 1, counters: [1, 0, 1001], experimental: false }],
    ['ECN e0b 1 ceb 0', { kind: 'accecn', order: 0, counters: [1, 0], experimental: false }],
    ['ECN', { kind: 'accecn', order: 0, counters: [], experimental: false }],
    ['AccECN1 ee1b 5 eceb 6 ee0b 7', { kind: 'accecn', order: 1, counters: [5, 6, 7], experimental: false }],
    ['exp-AccECN0 ee0b 5', { kind: 'accecn', order: 0, counters: [5], experimental: true }],
    ['exp-tarr 3', { kind: 'tarr', rate: 3 }],
    ['exp-tarr', { kind: 'tarr', rate: null }],
  ])('option %s', (text, spec) => {
    expect(option(text)).toEqual(spec)
  })

  it('takes blanks in a list of options', () => {
    expect(tcp('> S 0:0(0) < mss 1460 , nop,wscale 6,  sackOK, eol, eol >').options?.map((o) => o.kind)).toEqual([
      'mss',
      'nop',
      'wscale',
      'sackOK',
      'eol',
      'eol',
    ])
  })
})

describe('other packets', () => {
  it('UDP', () => {
    expect(packet('< udp (100)').body).toEqual({ kind: 'udp', length: 100 } satisfies UdpSpec)
    expect(packet('> udp 5 > 6 (0)')).toMatchObject({ ports: { source: 5, destination: 6 }, body: { length: 0 } })
  })

  it.each<[string, Partial<IcmpSpec>]>([
    [
      'icmp unreachable frag_needed mtu 1000 [5001:6001(1000)]',
      {
        type: 'unreachable',
        code: 'frag_needed',
        mtu: 1000,
        quoted: { kind: 'tcp', seq: { start: 5001, length: 1000, absolute: false, any: false } },
      },
    ],
    [
      '[4294967295:4294967295(0)] icmp unreachable port_unreachable',
      {
        type: 'unreachable',
        code: 'port_unreachable',
        quoted: { kind: 'tcp', seq: { start: 4294967295, length: 0, absolute: false, any: false } },
      },
    ],
    ['icmp unreachable [udp (10)]', { type: 'unreachable', quoted: { kind: 'udp', length: 10 } }],
    ['icmp echo_request id 7', { type: 'echo_request', id: 7 }],
    ['icmp packet_too_big mtu 1280 [raw(8)]', { type: 'packet_too_big', mtu: 1280, quoted: { kind: 'raw', length: 8 } }],
    ['icmp source_quench', { type: 'source_quench' }],
  ])('%s', (text, spec) => {
    expect(packet(`<${text}`).body).toEqual({ kind: 'icmp', code: null, mtu: null, id: null, quoted: null, ...spec })
  })
})

describe('system calls', () => {
  it('have arguments, a result, an error and a note', () => {
    expect(call('connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)')).toMatchObject({
      name: 'connect',
      endUs: null,
      errno: 'EINPROGRESS',
      note: 'Operation now in progress',
    })
    expect(call('read(4, ..., 512) = -1 EHOSTUNREACH(No route to host)').errno).toBe('EHOSTUNREACH')
    expect(call('fcntl(3, F_GETFL) = 0x02 (flags O_RDWR)')).toMatchObject({
      result: { kind: 'int', value: 2 },
      errno: null,
      note: 'flags O_RDWR',
    })
    expect(call('write(3, ..., 5) = -1 EAGAIN').errno).toBe('EAGAIN')
    expect(call('fork() = 0').args).toEqual([])
  })

  it.each([
    ['-1', '-1'],
    ['0xdeaddead', '3735936685'],
    ['O_RDWR | O_NONBLOCK|O_X', '((O_RDWR | O_NONBLOCK) | O_X)'],
    ['"cubic"', '"cubic"'],
    ['"a" "b\\x00\\n\\"c"', '"ab\\u0000\\n\\"c"'],
    ['"begin"...', '"begin"...'],
    ['[]', '[]'],
    ['[1, ..., X]', '[1, ..., X]'],
    ['*', '...'],
    ['_', '...'],
    ['{..., 1000}', '{..., 1000}'],
    ['{onoff=1, linger=5}', '{onoff=1, linger=5}'],
    ['{fd=4, events=POLLIN|POLLOUT, revents=0}', '{fd=4, events=(POLLIN | POLLOUT), revents=0}'],
    [
      '{sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr("192.0.2.1")}',
      '{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("192.0.2.1")}',
    ],
    [
      '{msg_name(...)=..., msg_iov(2)=[{..., 10}, {..., 20}], msg_flags=0, msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=9}]}',
      '{msg_name(...)=..., msg_iov(2)=[{..., 10}, {..., 20}], msg_flags=0, msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=9}]}',
    ],
    ['{function_set_name="freebsd", pcbcnt=...}', '{function_set_name="freebsd", pcbcnt=...}'],
    ['{enable=1, psk=00112233aabbccdd}', '{enable=1, psk=00112233aabbccdd}'],
    ['{events=EPOLLIN, ptr=0}', '{events=EPOLLIN, ptr=0}'],
    ['size=8', '(size = 8)'],
  ])('argument %s', (text, expected) => {
    expect(plain(argument(text))).toBe(expected)
  })

  it('go over several lines', () => {
    expect(
      call('recvmsg(3, {msg_name(...)=...,\n\t  msg_iov(1)=[{...,0}], // nothing\n\t  msg_flags=0}, 0) = 0').args,
    ).toHaveLength(3)
  })
})

describe('options, commands, code', () => {
  it('reads options with and without values, and comments behind them', () => {
    const { options } = parse(
      '--dry_run   // only parse\n--tolerance_usecs=75000\n--local_ip=192.168.0.1\n--x="a b"\n0 close(3) = 0',
    )
    expect(options.map((o) => [o.name, o.value])).toEqual([
      ['dry_run', ''],
      ['tolerance_usecs', '75000'],
      ['local_ip', '192.168.0.1'],
      ['x', 'a b'],
    ])
  })

  it("takes the caller's options after the script's own", () => {
    const { options } = parse('--mtu=1500\n0 close(3) = 0', { options: { mtu: '576' } })
    expect(options.map((o) => o.value)).toEqual(['1500', '576'])
  })

  it('tells commands before, within and after the events', () => {
    const script = parse('`true`\n--mtu=1500\n`sleep 1`\n0 close(3) = 0\n`sync`\n+1 `sleep 2`\n`/tmp/sysctl_restore_$PPID.sh`\n')
    expect(script.init.map((c) => c.text)).toEqual(['true', 'sleep 1'])
    expect(script.events.map((e) => [e.kind, e.time])).toEqual([
      ['syscall', { kind: 'absolute', us: 0 }],
      ['command', { kind: 'relative', us: 0 }],
      ['command', { kind: 'relative', us: 1_000_000 }],
    ])
    expect((script.events[2] as CommandEvent).command.effects).toEqual([{ kind: 'sleep', us: 2_000_000 }])
    expect(script.cleanup).toHaveLength(1)
  })

  it('reads code to its end', () => {
    const event = one('+0 %{\nassert tcpi_unacked == 1 # one }\nassert tcpi_rtt > 0, tcpi_rtt\n}%')
    expect(event.kind === 'code' && event.code.statements.map((s) => s.kind)).toEqual(['assert', 'assert'])
  })

  it('passes over comments of all kinds', () => {
    const script = parse(
      '# shell\n// C++\n/* C\n * 0 close(9) = 0\n */\n0 close(3) = 0 /* here */ // and here\n# else if (nothing)',
    )
    expect(script.events).toHaveLength(1)
  })
})

describe('definitions', () => {
  it('replaces words by numbers, words, texts and commands', () => {
    const defines = { PORT: '8080', PROTO: 'IPPROTO_TCP', CC: '"cubic"', CLEAN: '`true`', COOKIE: '0102' }
    expect(plain(argument('PORT', { defines }))).toBe('8080')
    expect(plain(argument('PROTO', { defines }))).toBe('IPPROTO_TCP')
    expect(plain(argument('CC', { defines }))).toBe('"cubic"')
    expect(option('FO COOKIE', { defines })).toMatchObject({ cookie: [1, 2] })
    expect(option('mss PORT', { defines })).toMatchObject({ value: 8080 })
    expect(parse('0 close(3) = 0\nCLEAN', { defines }).cleanup.map((c) => c.text)).toEqual(['true'])
    expect(packet('< icmp unreachable CODE [1:1(0)]', { defines: { CODE: 'host_unreachable' } }).body).toMatchObject({
      code: 'host_unreachable',
    })
  })

  it('takes them from --define and #define, the caller first', () => {
    const text = '#define A 5\n--define=B=IPPROTO_TCP\n--define=C="x y"\n0 f(A, B, C) = 0'
    const args = (options?: ParseOptions): string[] => (parse(text, options).events[0] as SyscallEvent).call.args.map(plain)
    expect(args()).toEqual(['5', 'IPPROTO_TCP', '"x y"'])
    expect(args({ defines: { A: '6', B: '7' } })).toEqual(['6', '7', '"x y"'])
  })

  it('leaves out what conditions exclude, and keeps the lines', () => {
    const text = '#ifdef A\n0 a() = 0\n#ifdef B\n0 ab() = 0\n#endif\n#else\n0 b() = 0\n#endif\n#ifndef A\n0 c() = 0\n#endif'
    const names = (defines: Record<string, string>): [string, number][] =>
      parse(text, { defines }).events.map((e) => [(e as SyscallEvent).call.name, e.position.line])
    expect(names({})).toEqual([
      ['b', 7],
      ['c', 10],
    ])
    const platforms = '#ifdef Linux\n0 a() = 0\n#endif\n#ifdef FreeBSD\n0 b() = 0\n#endif'
    const of = (platform: 'linux' | 'freebsd'): number[] => parse(platforms, { platform }).events.map((e) => e.position.line)
    expect([of('linux'), of('freebsd')]).toEqual([[2], [5]])
    expect(names({ A: '1' })).toEqual([['a', 2]])
    expect(names({ A: '1', B: '1' })).toEqual([
      ['a', 2],
      ['ab', 4],
    ])
  })
})
