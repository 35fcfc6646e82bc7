#!/usr/bin/env node
/** The command `tapstack` as a process: standard output, signals, exit code. What it does is in run.ts. */
import about from '../../package.json' with { type: 'json' }
import { openLink } from '../backend/open-link.ts'
import { serveVdeAt } from '../backend/vde-server.ts'
import { nodeHost, nodeRandom } from '../node/host.ts'
import { print } from './print.ts'
import { run } from './run.ts'
import { stopSignal } from './stop.ts'

const code = await run(
  process.argv.slice(2),
  {
    out: print,
    err: (line) => process.stderr.write(`${line}\n`),
    openLink,
    platform: { host: nodeHost, random: nodeRandom },
    stop: stopSignal(),
    serveVde: serveVdeAt,
    onReport: (report) => {
      process.on('SIGUSR2', report)
      return () => process.off('SIGUSR2', report)
    },
  },
  about.version,
  (process.env.TAPSTACK_DEBUG ?? '') !== '',
)
process.exitCode = code
