import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{edge,runtime,native,test,bench,scripts}/**/*.test.ts'],
    // The addon owns threads and its tests measure the event loop: a process each, not a worker thread.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A second, the default, is not long on a machine with other things to do.
    expect: { poll: { timeout: 20_000 } },
  },
})
