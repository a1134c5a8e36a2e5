#!/usr/bin/env node
/** What every process of ours is started by: the program from the bundle, where that is of the sources as they are, else from these. */
import { fileOfBundle } from './bundle/bundle.ts';
import type * as program from './main.ts';

const { join } = process.getBuiltinModule('node:path'); // As bundle.ts does.
const { pathToFileURL } = process.getBuiltinModule('node:url');
const bundled = fileOfBundle(join(import.meta.dirname, '..'), 'main');
const file = bundled === undefined ? './main.ts' : pathToFileURL(bundled).href;
const { main } = (await import(file)) as typeof program;
await main();
