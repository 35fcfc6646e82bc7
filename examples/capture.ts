// Captures a link into a file, shows each frame in one line, and pings the host meanwhile.
//   npx tsx examples/capture.ts [FILE.pcapng] [--link tap://tap0?host=10.0.0.1/24] [--address 10.0.0.2/24] [--host 10.0.0.1] [--count 3]
// Then: wireshark capture.pcapng, tshark -r capture.pcapng, or npx tapstack dump -r capture.pcapng icmp
import { parseArgs } from 'node:util'
import { CaptureReader, capture, createStack, dissect, openCapture, openLink, PcapngWriter } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    link: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24' },
    address: { type: 'string', multiple: true, default: ['10.0.0.2/24'] },
    host: { type: 'string', default: '10.0.0.1' },
    count: { type: 'string', default: '3' },
  },
})
const [file = 'capture.pcapng'] = positionals

// A capture goes around a link: into a file, or to whatever takes bytes. Here to both.
const reader = new CaptureReader(({ bytes, medium, flags }) => {
  if (medium !== null) console.log(`${(flags & 3) === 1 ? '<' : '>'} ${dissect(bytes, 0, bytes.length, medium)}`)
})
const seen = new PcapngWriter({ write: (bytes) => reader.push(bytes) })
const saved = openCapture(file)
const link = capture(capture(await openLink(values.link), saved), seen)

const stack = createStack({ name: 'capture' })
try {
  await stack.attach(link, { addresses: values.address }).ready
  for await (const reply of stack.ping(values.host, { count: Number(values.count), intervalMs: 200 })) {
    console.log(
      reply.error === undefined ? `${reply.from} answered in ${reply.timeMs.toFixed(3)} ms` : `${values.host}: ${reply.error}`,
    )
    seen.flush()
  }
} finally {
  await stack.close()
  seen.end()
  saved.end()
  console.log(`${file}: ${reader.frames} frames`)
}
