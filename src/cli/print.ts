/** Lines to standard output. On Linux a pipe is written at once, so whoever waits for a line gets it when it is said. */

// `tapstack ... | head`: whoever read us has gone, so there is nobody to talk to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
