// SPDX-License-Identifier: Apache-2.0
// A first program: types, a computation, and a look at where it runs.
interface Planet {
  name: string;
  moons: number;
}

const planets: Planet[] = [
  { name: "Earth", moons: 1 },
  { name: "Mars", moons: 2 },
  { name: "Neptune", moons: 16 },
];
const total: number = planets.reduce((sum, planet) => sum + planet.moons, 0);

console.log(`Hello from Deno ${Deno.version.deno} with TypeScript ${Deno.version.typescript}!`);
for (const { name, moons } of planets) console.log(`  ${name.padEnd(8)} ${"o".repeat(moons)}`);
console.log(`${planets.length} planets, ${total} moons.`);
