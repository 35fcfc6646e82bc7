import { describe, expect, it } from 'vitest'
import { runScript } from '../../../src/sim/script/script.ts'

const ACCEPT = `\`./defaults.sh\`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
   +0 setsockopt(3, SOL_SOCKET, SO_ZEROCOPY, [1], 4) = 0
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 1) = 0
   +0 < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>
   +0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 8>
   +0 < . 1:1(0) ack 1 win 257
   +0 accept(3, ..., ...) = 4
   +0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
`

function passes(text: string): void {
  expect(runScript(text, { file: 'test.pkt' })).toEqual({ result: 'passed' })
}

describe('calls on sockets', () => {
  it('read: nothing yet, data, part of it, the end', () => {
    passes(`${ACCEPT}
   +0 read(4, ..., 10) = -1 EAGAIN (Resource temporarily unavailable)
   +0 < P. 1:101(100) ack 1 win 257
   +0 > . 1:1(0) ack 101
   +0 recv(4, ..., 10, MSG_PEEK) = 10
   +0 ioctl(4, SIOCINQ, [100]) = 0
   +0 readv(4, [{..., 30}, {..., 30}], 2) = 60
   +0 ioctl(4, FIONREAD, [40]) = 0
   +0 < F. 101:101(0) ack 1 win 257
   +0 > . 1:1(0) ack 102
   +0 read(4, ..., 100) = 40
   +0 read(4, ..., 100) = 0`)
  })

  it('write: as much as fits, then nothing; the rest when there is room, and a blocking call waits for it', () => {
    passes(`${ACCEPT}
   +0 setsockopt(4, SOL_SOCKET, SO_SNDBUF, [5000], 4) = 0
   +0 getsockopt(4, SOL_SOCKET, SO_SNDBUF, [10000], [4]) = 0
   +0 write(4, ..., 12000) = 10000
   +0 write(4, ..., 2000) = -1 EAGAIN (Resource temporarily unavailable)
   +0 > P. 1:10001(10000) ack 1
   +0 ioctl(4, SIOCOUTQ, [10000]) = 0
   +0 fcntl(4, F_SETFL, O_RDWR) = 0
   +0...0.001 write(4, ..., 2000) = 2000
+.001 < . 1:1(0) ack 10001 win 257
   +0 > P. 10001:12001(2000) ack 1`)
  })

  it('a reset is told once, then the end; writing to it is a broken pipe', () => {
    passes(`${ACCEPT}
   +0 < R. 1:1(0) ack 1 win 257
   +0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLIN|POLLOUT|POLLERR|POLLHUP}], 1, 0) = 1
   +0 read(4, ..., 10) = -1 ECONNRESET (Connection reset by peer)
   +0 read(4, ..., 10) = 0
   +0 write(4, ..., 10) = -1 EPIPE (Broken pipe)`)
  })

  it('shutdown: what can be sent and read afterwards', () => {
    passes(`${ACCEPT}
   +0 shutdown(3, SHUT_WR) = -1 ENOTCONN (Transport endpoint is not connected)
   +0 shutdown(4, SHUT_WR) = 0
   +0 > F. 1:1(0) ack 1
   +0 write(4, ..., 10) = -1 EPIPE (Broken pipe)
   +0 < . 1:1(0) ack 2 win 257
   +0 < P. 1:11(10) ack 2 win 257
   +0 > . 2:2(0) ack 11
   +0 read(4, ..., 100) = 10`)
  })

  it('SO_LINGER of no time resets', () => {
    passes(`${ACCEPT}
   +0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0
   +0 close(4) = 0
   +0 > R. 1:1(0) ack 1`)
  })

  it('calls on what is no connection', () => {
    passes(`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 read(3, ..., 10) = -1 ENOTCONN (Transport endpoint is not connected)
   +0 write(3, ..., 10) = -1 EPIPE (Broken pipe)
   +0 accept(3, ..., ...) = -1 EINVAL (Invalid argument)
   +0 poll([{fd=3, events=POLLIN, revents=POLLHUP}], 1, 0) = 1
   +0 bind(3, ..., ...) = 0
   +0 bind(3, ..., ...) = -1 EINVAL (Invalid argument)
   +0 listen(3, 1) = 0
   +0 getsockopt(3, SOL_SOCKET, SO_ACCEPTCONN, [1], [4]) = 0
   +0 connect(3, ..., ...) = -1 EISCONN (Transport endpoint is already connected)
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 fcntl(3, F_GETFL) = 0x802 (flags O_RDWR|O_NONBLOCK)
   +0 accept(3, ..., ...) = -1 EAGAIN (Resource temporarily unavailable)`)
  })

  it('options keep what is set, and refuse what cannot be', () => {
    passes(`${ACCEPT}
   +0 setsockopt(4, IPPROTO_TCP, TCP_NODELAY, [1], 4) = 0
   +0 getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0
   +0 setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [0], 4) = -1 EINVAL (Invalid argument)
   +0 setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [100], 4) = 0
   +0 getsockopt(4, SOL_TCP, TCP_KEEPIDLE, [100], [4]) = 0
   +0 setsockopt(4, SOL_TCP, TCP_CONGESTION, "reno", 4) = 0
   +0 setsockopt(4, SOL_TCP, TCP_CONGESTION, "nosuch", 6) = -1 ENOENT (No such file or directory)
   +0 setsockopt(4, SOL_IP, IP_TOS, [16], 4) = 0
   +0 write(4, ..., 10) = 10
   +0 > (tos 0x10) P. 1:11(10) ack 1`)
  })

  it('TCP_INQ tells by a control message what is left', () => {
    passes(`${ACCEPT}
   +0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0
   +0 < P. 1:101(100) ack 1 win 257
   +0 > . 1:1(0) ack 101
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 30}], msg_flags=0,
        msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=70}]}, 0) = 30`)
  })

  it('a control message that is not as written fails', () => {
    const outcome = runScript(`${ACCEPT}
   +0 setsockopt(4, SOL_TCP, TCP_INQ, [1], 4) = 0
   +0 < P. 1:101(100) ack 1 win 257
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 30}], msg_flags=0,
        msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=71}]}, 0) = 30`)
    expect(outcome.reason).toContain('cmsg_data 0: expected 71, got 70')
  })

  it('notifications of MSG_ZEROCOPY are ranges, in order', () => {
    passes(`${ACCEPT}
   +0 send(4, ..., 100, MSG_ZEROCOPY) = 100
   +0 > P. 1:101(100) ack 1
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{...,0}], msg_flags=MSG_ERRQUEUE, msg_control=[]}, MSG_ERRQUEUE) = -1 EAGAIN (no)
   +0 < . 1:1(0) ack 101 win 257
   +0 send(4, ..., 100, MSG_ZEROCOPY) = 100
   +0 > P. 101:201(100) ack 1
   +0 < . 1:1(0) ack 201 win 257
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{...,0}], msg_flags=MSG_ERRQUEUE,
        msg_control=[{cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data={ee_errno=0, ee_origin=SO_EE_ORIGIN_ZEROCOPY,
          ee_type=0, ee_code=SO_EE_CODE_ZEROCOPY_COPIED, ee_info=0, ee_data=1}}]}, MSG_ERRQUEUE) = 0`)
  })

  it('epoll tells an edge once, a level as long as it lasts', () => {
    passes(`${ACCEPT}
   +0 epoll_create(1) = 5
   +0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, fd=4}) = 0
   +0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0
   +0 < P. 1:11(10) ack 1 win 257
   +0 > . 1:1(0) ack 11
   +0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
   +0 epoll_wait(5, {events=0, ptr=0}, 1, 0) = 0
   +0 epoll_ctl(5, EPOLL_CTL_MOD, 4, {events=EPOLLIN, fd=4}) = 0
   +0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1
   +0 epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1`)
  })

  it('poll waits no longer than it is told', () => {
    passes(`${ACCEPT}
   +0...0.05 poll([{fd=4, events=POLLIN, revents=0}], 1, 50) = 0
   +5 read(4, ..., 1) = -1 EAGAIN (Resource temporarily unavailable)
   +0...0.1 poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 5000) = 1
  +.1 < P. 1:2(1) ack 1 win 257`)
  })

  it('Fast Open that is off, or to no address', () => {
    passes(`\`./set_sysctls.py /proc/sys/net/ipv4/tcp_fastopen=0 \\
\`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_CONNECT, [1], 4) = -1 EOPNOTSUPP (Operation not supported)
   +0 sendto(3, ..., 10, MSG_FASTOPEN, ..., ...) = -1 EOPNOTSUPP (Operation not supported)
   +0 \`sysctl -q net.ipv4.tcp_fastopen=1\`
   +0 sendto(3, ..., 10, MSG_FASTOPEN, AF_UNSPEC, ...) = -1 EOPNOTSUPP (Operation not supported)`)
  })

  it('TCP_FASTOPEN_CONNECT and MSG_FASTOPEN: a cookie is asked for, and then used', () => {
    passes(`\`./defaults.sh
sysctl -q net.ipv4.tcp_timestamps=0\`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
   +0 sendto(3, ..., 500, MSG_FASTOPEN, ..., ...) = -1 EINPROGRESS (Operation now in progress)
   +0 > S 0:0(0) <mss 1460,nop,nop,sackOK,nop,wscale 8,FO,nop,nop>
 +.01 < S. 123:123(0) ack 1 win 5840 <mss 940,nop,nop,sackOK,nop,wscale 6,FO abcd1234,nop,nop>
   +0 > . 1:1(0) ack 1
   +0 close(3) = 0
   +0 > F. 1:1(0) ack 1
   +0 < R. 1:1(0) ack 2 win 0
   +0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
   +0 setsockopt(4, SOL_TCP, TCP_FASTOPEN_CONNECT, [1], 4) = 0
   +0 connect(4, ..., ...) = 0
   +0...0.02 write(4, ..., 1000) = 1000
   +0 > S 0:900(900) <mss 1460,nop,nop,sackOK,nop,wscale 8,FO abcd1234,nop,nop>
 +.02 < S. 123:123(0) ack 901 win 5840 <mss 940,nop,nop,sackOK,nop,wscale 6>
   +0 > P. 901:1001(100) ack 1
 +.02 < . 1:1(0) ack 1001 win 257
   +0 %{ assert tcpi_delivered == 2, tcpi_delivered }%`)
  })
})

describe('what commands made and calls use', () => {
  it('sendfile: of a file that dd made, from its offset or its own', () => {
    passes(`\`dd bs=10 count=3 if=/dev/zero of=/tmp/f status=none\`
${ACCEPT.replace('`./defaults.sh`', '')}
   +0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0
   +0 open("/tmp/f", O_RDONLY) = 5
   +0 sendfile(4, 5, [20], 100) = 10
   +0 > P. 1:11(10) ack 1
   +0 sendfile(4, 5, NULL, 25) = 25
   +0 > P. 11:36(25) ack 1
   +0 sendfile(4, 5, NULL, 25) = 5
   +0 > P. 36:41(5) ack 1
   +0 open("/tmp/g", O_RDONLY) = -1 ENOENT (No such file or directory)`)
  })

  it('buffers that are NULL have no place for bytes', () => {
    passes(`${ACCEPT}
   +0 write(4, NULL, 10) = -1 EFAULT (Bad address)
   +0 sendto(4, NULL, 10, 0, ..., ...) = -1 EFAULT (Bad address)
   +0 read(4, NULL, 10) = -1 EFAULT (Bad address)
   +0 write(4, NULL, 0) = 0`)
  })

  it('nothing leaves while the queue of the link is full, and all of it when it is not', () => {
    passes(`${ACCEPT}
   +0 \`tc qdisc replace dev tun0 root pfifo limit 0\`
   +0 write(4, ..., 100) = 100
 +.05 \`tc qdisc replace dev tun0 root pfifo\`
   +0 > P. 1:101(100) ack 1`)
  })

  it('keys of Fast Open are those of the socket', () => {
    passes(`\`sysctl -q net.ipv4.tcp_fastopen_key=00000000-00000000-00000000-00000000\`
    0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
   +0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_KEY, "short", 5) = -1 EINVAL (Invalid argument)
   +0 setsockopt(3, SOL_TCP, TCP_FASTOPEN_KEY, "\\xa1\\xa1\\xa1\\xa1\\xb2\\xb2\\xb2\\xb2\\xc3\\xc3\\xc3\\xc3\\xd4\\xd4\\xd4\\xd4", 16) = 0
   +0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [1], 4) = 0
   +0 bind(3, ..., ...) = 0
   +0 listen(3, 1) = 0
   +0 < S 0:10(10) win 32792 <mss 1460,FO TFO_COOKIE,nop,nop>
   +0 > S. 0:0(0) ack 11 <mss 1460>`)
  })

  it('times of the last data count from the handshake', () => {
    passes(`${ACCEPT}
   +1 %{ assert tcpi_last_data_recv == 1000, tcpi_last_data_recv }%
   +0 < P. 1:101(100) ack 1 win 257
   +0 > . 1:1(0) ack 101
 +.01 %{ assert tcpi_last_data_recv == 10 and tcpi_last_ack_recv == 10 }%`)
  })
})

describe('SO_TIMESTAMPING of what is sent', () => {
  const stamp = (event: string, ns: number, key: number): string => `
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{...,0}], msg_flags=MSG_ERRQUEUE|MSG_TRUNC, msg_control=[
        {cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING, cmsg_data={scm_sec=0,scm_nsec=${ns}}},
        {cmsg_level=CMSG_LEVEL_IP, cmsg_type=CMSG_TYPE_RECVERR, cmsg_data={ee_errno=ENOMSG, ee_origin=SO_EE_ORIGIN_TIMESTAMPING,
          ee_type=0, ee_code=0, ee_info=${event}, ee_data=${key}}}]}, MSG_ERRQUEUE) = 0`
  const script = (ackNs: number): string => `${ACCEPT}
   +0 setsockopt(4, SOL_SOCKET, SO_TIMESTAMPING, [SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK |
      SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID], 4) = 0
   +0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{...,0}], msg_flags=0}, MSG_ERRQUEUE) = -1 EAGAIN (Resource temporarily unavailable)
 +.02 write(4, ..., 1000) = 1000
   +0 > P. 1:1001(1000) ack 1
 +.03 < . 1:1(0) ack 1001 win 257
${stamp('SCM_TSTAMP_SCHED', 20_000_000, 999)}
${stamp('SCM_TSTAMP_ACK', ackNs, 999)}`

  it('tells when the last byte of a call left, and when it was acknowledged', () => {
    passes(script(50_000_000))
  })

  it('fails where the time is another', () => {
    expect(runScript(script(70_000_000), { file: 'test.pkt' }).result).toBe('failed')
  })
})
