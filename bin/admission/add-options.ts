/** Apart from what reads them: `podwright` says what options there are without loading a server. */
import type { Command } from 'commander';

/** `--…-admission-…` of the server, as given. */
export interface AdmissionCommandOptions {
  readonly enableAdmissionPlugins?: readonly string[];
  readonly disableAdmissionPlugins?: readonly string[];
  readonly admissionControlConfigFile?: string;
}

export function addAdmissionOptions(command: Command): Command {
  return command
    .option(
      '--enable-admission-plugins <name,name>',
      'these admission plugins too, beside those that are on (as AlwaysPullImages)',
      collectNames,
    )
    .option('--disable-admission-plugins <name,name>', 'without these admission plugins', collectNames)
    .option(
      '--admission-control-config-file <file>',
      'an AdmissionConfiguration: how plugins are set up, each here or in a file of its own',
    );
}

/** Several in one, with commas between, or the option several times; '' is none, as for kube-apiserver. */
function collectNames(text: string, earlier: readonly string[] = []): readonly string[] {
  return text === '' ? earlier : [...earlier, ...text.split(',').map((name) => name.trim())];
}
