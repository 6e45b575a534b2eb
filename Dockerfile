# The operator, the command line and the init container that fetches weights, in one image. The sandbox stays out of it.
FROM node:24-alpine AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY tools ./tools
RUN npm ci --no-audit --no-fund
COPY . .
ARG COMMIT=""
RUN ROLLGUARD_COMMIT="$COMMIT" node scripts/build.ts && rm -f dist/sandbox.js*

FROM node:24-alpine
# npm and yarn are not needed to run it, and what is not there needs no patches.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn*
COPY --from=build /src/dist /app
USER 65532:65532
ENTRYPOINT ["node", "/app/rollguard.js"]
CMD ["operator"]
