// Runs oci.cjs beside this file with the code that V8 kept of it. Installed as it is: version, then the program's own arguments.
'use strict';
const { readFileSync, renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const filename = join(__dirname, 'oci.cjs');
const source = `(function (require, module) {${readFileSync(filename, 'utf8')}\n})`;
let cachedData;
try {
  cachedData = readFileSync(join(__dirname, 'oci.cache'));
} catch {
  cachedData = undefined; // Slower, and nothing else.
}
const script = new Script(source, { filename, ...(cachedData && { cachedData }) });
const bundle = { exports: {} };
script.runInThisContext()(require, bundle);
const [version, ...args] = process.argv.slice(2);
const keeps = args[0] === '--keep-code';
bundle.exports
  .main(__dirname, version, keeps ? args.slice(1) : args)
  .then(() => {
    if (!keeps) return;
    const draft = join(__dirname, `.oci.cache.${process.pid}`);
    writeFileSync(draft, script.createCachedData());
    renameSync(draft, join(__dirname, 'oci.cache'));
  })
  .catch((error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exitCode = 1;
  });
