/** The second way of `npm start`, inside the namespace: tcp_echo on tap0, and the kernel's own ping and TCP talk to it. */
import { spawn } from 'node:child_process'
import { connect } from 'node:net'

type Say = (line?: string) => void

const ADDRESS = '10.0.0.2'
const PORT = 7

/** Runs a program with its output shown. Null: it is not installed; else its exit code. */
function show(command: string, args: readonly string[]): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? resolve(null) : reject(error)))
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

/** Sends a line through the kernel's TCP; gives what came back before FIN. */
function echo(line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ host: ADDRESS, port: PORT }, () => socket.end(line))
    socket.setEncoding('utf8')
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer in 5 seconds')))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
}

/** Returns the exit code: 0 when ping and echo were answered. */
export async function showInNamespace(say: Say): Promise<number> {
  say('--- examples/tcp_echo.ts')
  await import('../../examples/tcp_echo.ts')
  say()
  say(`--- ping -c 3 -i 0.2 ${ADDRESS}`)
  const pinged = await show('ping', ['-c', '3', '-i', '0.2', ADDRESS])
  if (pinged === null) say('ping (iputils-ping) is not installed here: left out')
  say()
  say(`--- the kernel's TCP sends a line to ${ADDRESS} port ${PORT}`)
  const line = 'Hello from the kernel!'
  const back = await echo(line)
  say(`came back: ${JSON.stringify(back)}`)
  // The example closes its stack, and with it everything ends.
  process.emit('SIGTERM')
  return (pinged === null || pinged === 0) && back === line ? 0 : 1
}
