// Runs plugins.cjs beside this file with the code that V8 kept of it of a rehearsal. Installed as it is.
'use strict';
const { readFileSync, renameSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const filename = join(__dirname, 'plugins.cjs');
const source = `(function (require, module) {${readFileSync(filename, 'utf8')}\n})`;
let cachedData;
try {
  cachedData = readFileSync(join(__dirname, 'plugins.cache'));
} catch {
  cachedData = undefined; // Slower, and nothing else.
}
const script = new Script(source, { filename, ...(cachedData && { cachedData }) });
const bundle = { exports: {} };
script.runInThisContext()(require, bundle);
const [first, ...rest] = process.argv.slice(2);
const work =
  first === 'rehearse'
    ? bundle.exports.rehearse(...rest).then(() => {
        writeFileSync(join(__dirname, '.plugins.cache'), script.createCachedData());
        renameSync(join(__dirname, '.plugins.cache'), join(__dirname, 'plugins.cache'));
      })
    : bundle.exports.main(first);
work.catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
