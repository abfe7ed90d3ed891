/** `${env:NAME}` in a value of a configuration: what must not stand in a file, or in the list of processes. */

const REFERENCE = /\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** Puts the variables in. One that is not there, or that would be more than one line, is a fault. */
export function resolveReferences(
  text: string,
  env: Readonly<Record<string, string | undefined>>,
  fault: (message: string) => void,
): string {
  return text.replace(REFERENCE, (_, name: string) => {
    const found = env[name];
    if (found === undefined) fault(`the environment variable ${name} is not set`);
    else if (/[\r\n]/.test(found)) fault(`the environment variable ${name} holds a line end`);
    return found ?? '';
  });
}
