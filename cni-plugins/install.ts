import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '#base/durable-file.ts';
import { createPluginRegistry } from './registry.ts';

export interface InstallOptions {
  /** Where programs that follow the CNI specification look, usually /opt/cni/bin. */
  readonly binDir: string;
  /** The Node that runs the plugins. */
  readonly nodePath: string;
}

/** The program of a plugin: runs its main with the pinned Node. Pure. */
export function renderLauncher(nodePath: string, mainPath: string): string {
  return `#!/bin/sh\nexec ${quote(nodePath)} --disable-warning=ExperimentalWarning ${quote(mainPath)}\n`;
}

/** Puts a launcher for each of our plugins into a directory, whole or not at all; returns their paths. */
export async function installPlugins(options: InstallOptions): Promise<readonly string[]> {
  await mkdir(options.binDir, { recursive: true });
  const names = [...createPluginRegistry().keys()];
  return Promise.all(
    names.map(async (name) => {
      const path = join(options.binDir, name);
      const text = renderLauncher(options.nodePath, join(import.meta.dirname, name, 'main.ts'));
      await writeDurably(path, text, { mode: 0o755 });
      return path;
    }),
  );
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
