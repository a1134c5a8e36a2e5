/** Programs that make containers of RuntimeClasses. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { Option } from 'commander';
import { describeError } from '#base/errors.ts';
import { parseHandler } from '#agent/runtime/handlers/parse-handler.ts';
import type { HandlerProgram } from '#agent/runtime/handlers/open-handlers.ts';

export function runtimeHandlerOption(more: string): Option {
  return new Option(
    '--runtime-handler <name=path>',
    `an OCI runtime for pods whose RuntimeClass has this handler, as crun=/usr/bin/crun; crun and runc by name alone; can be repeated${more}`,
  ).argParser((text: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), text]);
}

export function defaultUlimitOption(): Option {
  return new Option(
    '--default-ulimit <name=soft:hard>',
    "a limit of each container's processes, as nofile=1024:1048576 (default: this program's own); can be repeated",
  ).argParser((text: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), text]);
}

/** Where services of the system have their programs, whatever the PATH of who started this. */
const directories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

function findProgram(name: string): string | undefined {
  return directories
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** @throws {E_INVALID} */
export function handlerPrograms(texts: readonly string[] = []): readonly HandlerProgram[] {
  return texts.map((text) => parseHandler(text, findProgram));
}

/** What is wrong with them, each beginning with the option's name. */
export function handlerProblems(texts: readonly string[] = []): readonly string[] {
  const names = new Set<string>();
  return texts.flatMap((text) => {
    try {
      const { name } = parseHandler(text, findProgram);
      if (names.has(name)) return [`--runtime-handler ${text}: ${name} is given twice`];
      names.add(name);
      return [];
    } catch (error) {
      return [`--runtime-handler ${describeError(error)}`];
    }
  });
}
