import { insideNamespace } from '../support/inside.ts'
import { withPrograms } from '../support/programs.ts'
import { describeTap, isRoot } from '../support/root.ts'

withPrograms('npm clients of daemons', ['sshd', 'ssh', 'redis-server', 'mosquitto'], () => {
  describeTap('clients from npm, and the daemons of Debian', () => {
    insideNamespace('apps-daemons.inside.ts')
  })
})

// Its server becomes another user, whom a user namespace does not have.
if (isRoot) {
  withPrograms('pg with PostgreSQL', ['postgres', 'initdb', 'setpriv'], () => {
    describeTap('pg, and PostgreSQL', () => {
      insideNamespace('apps-postgres.inside.ts')
    })
  })
} else console.warn('\n*** NOT TESTED: pg with PostgreSQL, whose server needs root to become another user\n')

withPrograms('the web with the tools of Debian', ['curl', 'wrk', 'h2load', 'openssl', 'nginx'], () => {
  describeTap('http, https, http2 and tls, and the tools of Debian', () => {
    insideNamespace('apps-web.inside.ts')
  })
})

withPrograms('the tools of Debian on what stays open', ['curl', 'openssl', 'socat'], () => {
  describeTap('bulk, mail and WebSockets, and the tools of Debian', () => {
    insideNamespace('apps-foreign.inside.ts')
  })
})
