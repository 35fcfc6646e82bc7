/**
 * Files of Node's that fail here because ours is otherwise on purpose, or because it cannot be else; docs/node.md says the same to users. A file
 * that passes has passed, whatever stands here.
 */
export const DIFFERENCES: Readonly<Record<string, string>> = {
  'test-dgram-socket-buffer-size.js': 'the size of a buffer is what was asked for; Linux doubles it',
  'test-dns-perf_hooks.js': 'only Node itself can make entries of performance hooks',
  'test-dns.js':
    'counts the questions that the cache of c-ares saves; ours remembers by the rules of RFC 2308 and in other places',
  'test-http-pause-no-dump.js':
    'a parser that is fed by a stream hears of the body and its end at once, as over any Duplex in Node',
  'test-net-perf_hooks.js': 'only Node itself can make entries of performance hooks',
  'test-net-socket-setnodelay.js': 'a socket is not made of a handle',
}
