/** A second network namespace beside the one a test runs in: made with a process that only waits, gone with it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { sh } from './lab.ts'

export class FarNamespace {
  private constructor(
    private readonly holder: ChildProcess,
    readonly pid: number,
  ) {}

  static async make(): Promise<FarNamespace> {
    const holder = spawn('unshare', ['-n', 'sleep', 'infinity'], { stdio: 'ignore' })
    const pid = holder.pid!
    const ours = readlinkSync('/proc/self/ns/net')
    // `unshare` becomes `sleep` once it has its namespace.
    while (readlinkSync(`/proc/${pid}/ns/net`) === ours) await new Promise((resolve) => setImmediate(resolve))
    const far = new FarNamespace(holder, pid)
    far.sh('ip link set lo up')
    return far
  }

  /** What to put before a command so that it runs there. */
  get enter(): string {
    return `nsenter -t ${this.pid} -n`
  }

  sh(command: string): string {
    return sh(command.replaceAll(/(^|; )/g, `$1${this.enter} `))
  }

  /** An interface of this namespace goes there. */
  take(name: string): void {
    sh(`ip link set ${name} netns ${this.pid}`)
  }

  async end(): Promise<void> {
    const gone = new Promise((resolve) => this.holder.once('close', resolve))
    this.holder.kill('SIGKILL')
    await gone
  }
}
