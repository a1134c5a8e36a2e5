#!/usr/bin/env node
/** What every process of ours is started by: the program from the bundle, where that is of the sources as they are, else from these. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { fileOfBundle } from './bundle/bundle.ts';
import type * as program from './main.ts';

const bundled = fileOfBundle(join(import.meta.dirname, '..'), 'main');
const file = bundled === undefined ? './main.ts' : pathToFileURL(bundled).href;
const { main } = (await import(file)) as typeof program;
await main();
