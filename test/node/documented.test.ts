/**
 * What Node's documentation says of net, dgram and dns, word by word, and the test that plays it beside Node. A name without a test, or a test that was
 * renamed, fails here.
 */

import nodeDgram from 'node:dgram'
import nodeDns from 'node:dns'
import { readFileSync } from 'node:fs'
import nodeNet from 'node:net'
import { describe, expect, it } from 'vitest'

/** File: title: what it plays. A title may be the beginning of one. */
const PLAYED: Record<string, Record<string, string>> = {
  'net-same': {
    'an echo':
      'connect createServer Socket Server Stream createConnection event:data event:end event:close event:connect bytesRead bytesWritten',
    'half-open on both sides': 'option:allowHalfOpen',
    pauseOnConnect: 'option:pauseOnConnect',
    'the timeout option': 'option:timeout',
    'an abort signal': 'option:signal',
    onread: 'option:onread',
    'a reset by the server': 'resetAndDestroy event:error',
    destroySoon: 'destroySoon',
    addresses:
      'address localAddress localPort localFamily remoteAddress remotePort remoteFamily readyState option:localAddress option:localPort',
    'a lookup of its own, one address': 'option:lookup event:lookup',
    'all of several addresses refuse': 'event:connectionAttempt event:connectionAttemptFailed',
    'a server: listen, address, close': 'listen close listening event:listening',
    maxConnections: 'maxConnections',
    'a port in use': 'event:error',
    'default family': 'setDefaultAutoSelectFamily getDefaultAutoSelectFamily',
    'default attempt': 'setDefaultAutoSelectFamilyAttemptTimeout getDefaultAutoSelectFamilyAttemptTimeout',
  },
  'net-options-same': {
    'readable false': 'option:readable',
    'writable false': 'option:writable',
    'readable and writable marks': 'option:highWaterMark',
    'family and hints reach the lookup': 'option:family option:hints option:autoSelectFamily option:host option:port',
    'noDelay and keepAlive come and go': 'setNoDelay setKeepAlive option:noDelay option:keepAlive option:keepAliveInitialDelay',
    'false when it is much': 'event:drain write bufferSize',
    'bytes are counted before': 'pending connecting',
    'callbacks come in order': 'end',
    'destroyed amid a write': 'destroy destroyed',
    'pause, resume': 'pause resume read',
    'a timeout: its property': 'setTimeout timeout event:timeout',
    'all forms of listen': 'getConnections option:backlog option:exclusive',
    'drop tells who was dropped': 'event:drop',
    'a callback, and connect': 'event:ready',
  },
  'corners-same': {
    'a handle that keeps the process': 'ref unref',
    'the accepted socket knows its server': 'event:connection server',
    'arguments once they are read': '_normalizeArgs',
  },
  'ipv6-same': {
    'ipv6Only, IPv6 comes': 'option:ipv6Only',
    'isIP, BlockList': 'isIP isIPv4 isIPv6 BlockList SocketAddress',
  },
  ipv6: { 'a black hole in one family': 'event:connectionAttemptTimeout option:autoSelectFamilyAttemptTimeout' },
  'arguments-same': { 'udp.sendto(': 'udp:sendto' },
  'dgram-same': {
    'has groups': 'udp:addMembership udp:dropMembership udp:addSourceSpecificMembership udp:dropSourceSpecificMembership',
    'a member': 'udp:setMulticastInterface',
    'errors of send': 'udp:event:error',
    'a signal and a lookup': 'udp:option:lookup',
  },
  'dgram-options-same': {
    'all forms': 'udp:bind udp:createSocket udp:event:listening udp:option:exclusive udp:option:type',
    'reuseAddr lets two': 'udp:option:reuseAddr',
    'buffer sizes': [
      'udp:setRecvBufferSize udp:setSendBufferSize udp:getRecvBufferSize udp:getSendBufferSize udp:getSendQueueSize udp:getSendQueueCount',
      'udp:option:recvBufferSize udp:option:sendBufferSize',
    ].join(' '),
    'hops, broadcast, loopback': 'udp:setTTL udp:setMulticastTTL udp:setBroadcast udp:setMulticastLoopback',
    'a signal: aborted before': 'udp:option:signal',
    'ref and unref': 'udp:ref udp:unref',
    'of nothing, of lists': 'udp:send udp:event:message',
    'states: connecting': 'udp:connect udp:disconnect udp:remoteAddress udp:address udp:event:connect',
    'twice, by await': 'udp:close udp:event:close',
  },
  'dns-same': {
    '${call} ${JSON.stringify(args)}': [
      'dns:resolve dns:resolve4 dns:resolve6 dns:resolveCaa dns:resolveCname dns:resolveMx dns:resolveNaptr dns:resolveNs dns:resolvePtr',
      'dns:resolveSoa dns:resolveSrv dns:resolveTxt dns:reverse',
    ].join(' '),
    'cancel: by callback': 'dns:cancel dns:Resolver',
    'servers that cannot be changed': 'dns:setServers dns:getServers',
    'lookup, resolve and reverse': 'dns:lookup dns:lookupService',
  },
  dns: {
    'with TTLs, of any type': 'dns:resolveAny',
    resolveTlsa: 'dns:resolveTlsa',
    'both families, in the order': 'dns:setDefaultResultOrder dns:getDefaultResultOrder',
    'hints: IPv4': 'dns:ADDRCONFIG dns:V4MAPPED dns:ALL',
    'has its servers, its time': 'dns:setLocalAddress',
  },
}

/** A title of a test, or of a line in its table, begins so. */
function starts(text: string, title: string): boolean {
  return ["'", '`', '"'].some((quote) => ['(', '[', '\n    ', '\n      '].some((before) => text.includes(before + quote + title)))
}

/** Inherited, private, or without anything to play. */
const NOTHING = /^_|^constructor$|^promises$|^default$|^[A-Z]+$/

describe('the documentation of Node', () => {
  it.each(Object.entries(PLAYED))('the tests of %s are there', (file, titles) => {
    const text = readFileSync(new URL(`./${file}.test.ts`, import.meta.url), 'utf8')
    expect(Object.keys(titles).filter((title) => !starts(text, title))).toEqual([])
  })

  const played = new Set(Object.values(PLAYED).flatMap((titles) => Object.values(titles).flatMap((words) => words.split(' '))))

  it.each([
    [
      '',
      [
        ...Object.keys(nodeNet),
        ...Object.getOwnPropertyNames(nodeNet.Socket.prototype),
        ...Object.getOwnPropertyNames(nodeNet.Server.prototype),
      ],
    ],
    ['udp:', Object.getOwnPropertyNames(nodeDgram.Socket.prototype)],
    ['dns:', [...Object.keys(nodeDns), ...Object.getOwnPropertyNames(nodeDns.Resolver.prototype)]],
  ])('every name of %s is played', (prefix, names) => {
    expect(names.filter((name) => !NOTHING.test(name) && !played.has(prefix + name))).toEqual([])
  })

  it.each([
    [
      '',
      'lookup connectionAttempt connectionAttemptFailed connectionAttemptTimeout connect ready data end drain timeout error close',
    ],
    ['', 'listening connection drop'],
    ['udp:', 'listening connect message error close'],
  ])('every event of %s: %s', (prefix, events) => {
    expect(events.split(' ').filter((name) => !played.has(`${prefix}event:${name}`))).toEqual([])
  })

  it.each([
    [
      '',
      'port host localAddress localPort family hints lookup noDelay keepAlive keepAliveInitialDelay autoSelectFamily autoSelectFamilyAttemptTimeout',
    ],
    ['', 'allowHalfOpen onread readable writable signal timeout highWaterMark pauseOnConnect backlog exclusive ipv6Only'],
    ['udp:', 'type reuseAddr recvBufferSize sendBufferSize lookup signal exclusive'],
  ])('every option of %s: %s', (prefix, options) => {
    expect(options.split(' ').filter((name) => !played.has(`${prefix}option:${name}`))).toEqual([])
  })
})
