// Prints how large @msgloop/core is in a bundle.
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const { outputFiles } = await build({
  entryPoints: ['packages/core/dist/index.js'],
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  write: false,
})
const [{ contents }] = outputFiles
process.stdout.write(
  `@msgloop/core: ${contents.length} bytes minified, ${gzipSync(contents).length} gzipped\n`,
)
