/** The command `tapstack` as a process: standard output, signals, exit code. What it does is in run.ts. */
import about from '../../package.json' with { type: 'json' }
import { openLink } from '../backend/open-link.ts'
import { NodeHost, nodeRandom } from '../node/host.ts'
import { run } from './run.ts'
import { stopSignal } from './stop.ts'

// `tapstack ... | head`: whoever read us has gone, so there is nobody to talk to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const code = await run(
  process.argv.slice(2),
  {
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    openLink,
    platform: { host: new NodeHost(), random: nodeRandom },
    stop: stopSignal(),
  },
  about.version,
  (process.env.TAPSTACK_DEBUG ?? '') !== '',
)
process.exitCode = code
