#!/usr/bin/env node
/** The command `tapstack` as a process: standard output, signals, exit code. What it does is in run.ts. */
import about from '../../package.json' with { type: 'json' }
import { guestServer } from '../backend/guest-server.ts'
import { openLink } from '../backend/open-link.ts'
import { serveVdeAt } from '../backend/vde-server.ts'
import { nodeHost, nodeRandom } from '../node/host.ts'
import { print, progressOn } from './print.ts'
import { INTERRUPTED, run } from './run.ts'
import { stopSignal, unlessStopped } from './stop.ts'

const stop = stopSignal()
const code = await run(
  process.argv.slice(2),
  {
    out: print,
    err: (line) => void process.stderr.write(`${line}\n`),
    openLink: (url, onChange) => unlessStopped(openLink(url, { onChange }), stop),
    platform: { host: nodeHost, random: nodeRandom },
    stop,
    input: () => process.stdin,
    output: () => process.stdout,
    ...(process.stderr.isTTY && { progress: progressOn(process.stderr) }),
    serveVde: serveVdeAt,
    serveGuests: guestServer,
    onReport: (report) => {
      process.on('SIGUSR2', report)
      return () => process.off('SIGUSR2', report)
    },
  },
  about.version,
  (process.env.TAPSTACK_DEBUG ?? '') !== '',
)
process.exitCode = code
if (code === INTERRUPTED) process.exit() // what was being opened is not waited for
