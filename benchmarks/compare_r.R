# The same analyses in R, for compare_r.py beside it: Rscript compare_r.R FOLDER.
#
# FOLDER holds DATA.csv for each analysis; results.csv is written there, a row a quantity, with the
# Monte Carlo error of each number where it was drawn. A package that is absent, or fails, gives one
# line.

folder <- commandArgs(TRUE)[1]
data <- function(name) read.csv(file.path(folder, paste0(name, ".csv")))
present <- function(name) {
  found <- suppressWarnings(suppressMessages(requireNamespace(name, quietly = TRUE)))
  if (!found) cat("skipped:", name, "is not installed\n")
  found
}
attempt <- function(name, code) tryCatch(code, error = function(problem) {
  cat("failed:", name, conditionMessage(problem), "\n")
})
rows <- list()
keep <- function(analysis, package, quantity, values, seconds, errors = rep(NA, 3)) {
  names(values) <- c("median", "lower", "upper")
  names(errors) <- paste0("mcse_", names(values))
  rows[[length(rows) + 1]] <<- data.frame(
    analysis, package, version = as.character(packageVersion(package)), quantity,
    t(values), t(errors), seconds, row.names = NULL
  )
}
took <- function(expression) system.time(expression)[["elapsed"]]

# a quantile's error from the effective draws and the density where it lies
drawn <- function(draws, ess) {
  p <- c(0.5, 0.025, 0.975)
  at <- quantile(draws, p, names = FALSE)
  height <- approx(density(draws, n = 4096), xout = at)$y
  list(at = at, error = sqrt(p * (1 - p) / ess) / height)
}

# ---- metafor: maximum likelihood, with Wald intervals and that of tau from its profile

if (present("metafor")) attempt("metafor", {
  suppressMessages(library(metafor))
  for (name in c("bcg_ratios", "crins", "schools")) {
    d <- data(name)
    time <- took(fit <- rma(yi = estimate, sei = se, data = d, method = "REML"))
    spread <- confint(fit)$random["tau", ]
    keep(name, "metafor", "mu", c(fit$b, fit$ci.lb, fit$ci.ub), time)
    keep(name, "metafor", "tau", spread, time)
    ml <- rma(yi = estimate, sei = se, data = d, method = "ML")
    cat("metafor", name, "REML", format(logLik(fit), digits = 12),
        "ML mu", format(c(ml$b), digits = 12), "tau", format(sqrt(ml$tau2), digits = 12),
        "log likelihood", format(c(logLik(ml)), digits = 12), "\n")
  }
  if (present("lme4")) {
    d <- data("aneurysms")
    time <- took(fit <- rma.glmm(measure = "PLO", xi = events, ni = total, data = d, nAGQ = 40))
    keep("aneurysms", "metafor", "mu", c(fit$b, fit$ci.lb, fit$ci.ub), time)
    keep("aneurysms", "metafor", "tau", c(sqrt(fit$tau2), NA, NA), time)
    g <- lme4::glmer(cbind(events, total - events) ~ 1 + (1 | study), d, binomial, nAGQ = 50)
    cat("lme4", as.character(packageVersion("lme4")), "aneurysms ML mu",
        format(lme4::fixef(g)[[1]], digits = 10), "tau",
        format(sqrt(lme4::VarCorr(g)$study[1]), digits = 10), "log likelihood",
        format(c(logLik(g)), digits = 12), "\n")
  }
})

# ---- bayesmeta: the normal model by numerical integration

if (present("bayesmeta")) attempt("bayesmeta", {
  suppressMessages(library(bayesmeta))
  priors <- list(bcg_ratios = c(0, 2, 0.5), crins = c(0, 2, 0.5), schools = c(0, 50, 10))
  for (name in names(priors)) {
    d <- data(name)
    p <- priors[[name]]
    time <- took(fit <- bayesmeta(
      y = d$estimate, sigma = d$se, labels = d$study, mu.prior.mean = p[1], mu.prior.sd = p[2],
      tau.prior = function(t) dhalfnormal(t, p[3]), interval.type = "central"
    ))
    wanted <- c("median", "95% lower", "95% upper")
    for (quantity in c("mu", "tau", "theta")) {
      label <- if (quantity == "theta") "next study" else quantity
      keep(name, "bayesmeta", label, fit$summary[wanted, quantity], time)
    }
    cat("bayesmeta", name, "log Bayes factor of tau = 0:",
        format(log(fit$bayesfactor[1, "tau=0"]), digits = 8), "\n")
  }
})

# ---- JAGS: counts, Student-t effects, overdispersion, a bias

jags <- function(name, model, values, quantities, each = 25000) {
  start <- proc.time()[["elapsed"]]
  seeds <- lapply(1:4, function(n) list(.RNG.name = "base::Wichmann-Hill", .RNG.seed = n))
  fit <- rjags::jags.model(textConnection(model), values, inits = seeds, n.chains = 4,
                           n.adapt = 1000, quiet = TRUE)
  update(fit, 2000, progress.bar = "none")
  draws <- rjags::coda.samples(fit, quantities, each, thin = 2, progress.bar = "none")
  time <- proc.time()[["elapsed"]] - start
  ess <- coda::effectiveSize(draws)
  cat("JAGS", name, "effective draws of tau or rho:", round(ess[length(ess)]), "\n")
  for (quantity in quantities) {
    found <- drawn(unlist(draws[, quantity]), ess[[quantity]])
    keep(name, "rjags", quantity, found$at, time, found$error)
  }
}

if (present("rjags")) attempt("rjags", {
  d <- data("bcg_ratios")
  jags("bcg_ratios", "model {
    for (i in 1:k) { theta[i] ~ dnorm(mu, 1 / tau^2); y[i] ~ dnorm(theta[i], 1 / s[i]^2) }
    mu ~ dnorm(0, 1 / 2^2); tau ~ dnorm(0, 1 / 0.5^2) T(0, )
  }", list(k = nrow(d), y = d$estimate, s = d$se), c("mu", "tau"))
  d <- data("aneurysms")
  counts <- list(k = nrow(d), y = d$events, n = d$total)
  jags("aneurysms", "model {
    for (i in 1:k) { theta[i] ~ dnorm(mu, 1 / tau^2); y[i] ~ dbin(ilogit(theta[i]), n[i]) }
    mu ~ dnorm(0, 1 / 1.5^2); tau ~ dnorm(0, 1) T(0, )
  }", counts, c("mu", "tau"))
  jags("aneurysms, beta-binomial", "model {
    for (i in 1:k) {
      rate[i] ~ dbeta(m * (1 - rho) / rho, (1 - m) * (1 - rho) / rho); y[i] ~ dbin(rate[i], n[i])
    }
    m <- ilogit(mu); mu ~ dnorm(0, 1 / 1.5^2); rho ~ dbeta(1, 5)
  }", counts, c("mu", "rho"))
  d <- data("bcg_counts")
  counts <- list(k = nrow(d), y = d$events, n = d$total, c = d$control_events, m = d$control_total)
  two_groups <- "model {
    for (i in 1:k) {
      base[i] ~ dnorm(0, 1 / 5^2); theta[i] ~ EFFECTS
      y[i] ~ dbin(ilogit(base[i] + theta[i]), n[i]); c[i] ~ dbin(ilogit(base[i]), m[i])
    }
    mu ~ dnorm(0, 1 / 1.5^2); tau ~ dnorm(0, 1 / 0.5^2) T(0, )
  }"
  jags("bcg_counts", sub("EFFECTS", "dnorm(mu, 1 / tau^2)", two_groups), counts, c("mu", "tau"))
  jags("bcg_counts, Student t", sub("EFFECTS", "dt(mu, 1 / tau^2, 4)", two_groups), counts,
       c("mu", "tau"))
})

# ---- brms: the logistic-normal model by Stan, cold with its compilation and warm without

if (present("brms")) attempt("brms", {
  suppressMessages(library(brms))
  # Debian keeps the headers of Boost outside of R
  boost <- system.file("include", "boost", package = "BH")
  if (!nzchar(boost)) rstan::rstan_options(boost_lib = "/usr/include")
  d <- data("aneurysms")
  again <- function(...) suppressMessages(brm(
    events | trials(total) ~ 1 + (1 | study), data = d, family = binomial(), chains = 4,
    iter = 5000, warmup = 1000, seed = 1, refresh = 0, silent = 2, control = list(adapt_delta = 0.95),
    prior = c(prior(normal(0, 1.5), class = Intercept), prior(normal(0, 1), class = sd)), ...
  ))
  cold <- took(fit <- again())
  warm <- took(fit <- update(fit, recompile = FALSE, seed = 2, refresh = 0, silent = 2))
  cat("brms: cold", cold, "s, warm", warm, "s\n")
  draws <- as_draws_df(fit)
  ess <- summary(fit)
  for (each in list(c("mu", "b_Intercept"), c("tau", "sd_study__Intercept"))) {
    table <- if (each[1] == "mu") ess$fixed else ess$random$study
    found <- drawn(draws[[each[2]]], min(table$Tail_ESS, table$Bulk_ESS))
    keep("aneurysms", "brms", each[1], found$at, warm, found$error)
  }
})

write.csv(do.call(rbind, rows), file.path(folder, "results.csv"), row.names = FALSE)
cat(R.version.string, "\n")
