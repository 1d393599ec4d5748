/* Peterborough as signed, straight in C: the limit that the simulator is measured against.
 *
 *     cc -O3 -march=native -pthread peterborough.c -lm -o peterborough && ./peterborough DRAWS THREADS SEED
 *
 * The deal's numbers, clauses and calendar are written into the code, and one pass takes a draw from its uniforms to its
 * metrics. Everything else is as in the simulator: a uniform at an address by Philox4x32-10, counts by exact inversion
 * (Cornish-Fisher, and exact tails near a jump), the same periods, caps, accounts and rules for rates of return, the
 * same 28 series kept (quantiles of those that are not headlines from the first 1,048,576 draws), moments by blocks of
 * 4,096 draws added in order, order-statistic intervals, and no fast math. It writes its answers and seconds as JSON.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCK = 4096, KEPT = 1048576, T = 36, FIRST = 1, LAST = 28, COHORTS = 3, YEARS = 10, A_YEAR = 4 };
static const double PEOPLE = 1000, ARM = 10, DISPERSION = 0.7, PRICE = 16000, BOUND = 0.10, POOLED = 0.075;
static const double MOST = 8e6, SET_UP = 250e3, MANAGEMENT = 60e3, COMMITMENT = 5e6, PLANNED_DELIVERY = 1700e3 / 3;
static const double OWN_SET_UP = 100e3, OWN_A_YEAR = 80e3, HURDLE = 0.06;
static const double REAL_RATE = 0.035, INFLATION = 0.02; /* the payers' rate is real, all money nominal */
static const int END_OF[COHORTS] = {8, 16, 24};
static const int YEAR_OF[T + 1] = {0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4,
                                   5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 9, 9};

static inline double least(double a, double b) { return a < b ? a : b; } /* C's own are calls without fast math */
static inline double most(double a, double b) { return a > b ? a : b; }

/* ------------------------------------------------------------------------------------------ uniforms, laws */

static double uniform(uint64_t key, uint64_t draw, uint64_t index) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t x0 = (uint32_t)draw, x1 = (uint32_t)(draw >> 32), x2 = (uint32_t)index, x3 = (uint32_t)(index >> 32);
    for (int i = 0; i < 10; i++) {
        uint64_t a = (uint64_t)0xD2511F53u * x0, b = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)b;
        x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    uint64_t bits = (((uint64_t)x1 << 32) | x0) >> 12;
    return ((double)bits + 0.5) * 0x1p-52;
}

static uint64_t mixed(uint64_t x) { /* splitmix64, to make keys from a seed and a number */
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static double horner(const double *c, int n, double x) {
    double sum = c[0];
    for (int i = 1; i < n; i++) sum = sum * x + c[i];
    return sum;
}

static double normal_quantile(double u) { /* Wichura 1988, AS 241 */
    static const double a[] = {2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
                               4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
                               1.3314166789178437745e2, 3.3871328727963666080e0};
    static const double b[] = {5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
                               2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
                               4.2313330701600911252e1, 1.0};
    static const double c[] = {7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
                               1.27045825245236838258e0,  3.64784832476320460504e0,  5.76949722146069140550e0,
                               4.63033784615654529590e0,  1.42343711074968357734e0};
    static const double d[] = {1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
                               1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018383804940e0,
                               2.05319162663775882187e0,  1.0};
    static const double e[] = {2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
                               2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0,
                               5.46378491116411436990e0,  6.65790464350110377720e0};
    static const double f[] = {2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
                               7.86869131145613259100e-4,  1.48753612908506148525e-2, 1.36929880922735805310e-1,
                               5.99832206555887937690e-1,  1.0};
    double q = u - 0.5;
    if (fabs(q) <= 0.425) {
        double r = 0.180625 - q * q;
        return q * horner(a, 8, r) / horner(b, 8, r);
    }
    double r = sqrt(-log(q < 0 ? u : 1.0 - u)), x;
    x = r <= 5.0 ? horner(c, 8, r - 1.6) / horner(d, 8, r - 1.6) : horner(e, 8, r - 5.0) / horner(f, 8, r - 5.0);
    return q < 0 ? -x : x;
}

static double triangular(double u, double low, double mode, double high) {
    double whole = high - low, left = mode - low;
    if (u * whole <= left) return low + sqrt(u * whole * left);
    return high - sqrt((1.0 - u) * whole * (high - mode));
}

static double chance(double u, double low, double high) { /* a 90% interval on the logit scale */
    double a = log(low / (1 - low)), b = log(high / (1 - high));
    double x = 0.5 * (a + b) + (b - a) / (2 * 1.6448536269514722) * normal_quantile(u);
    return 1.0 / (1.0 + exp(-x));
}

/* ------------------------------------------------------------------------------------------ negative binomial */

static double stirling_error(double x) {
    double correction = 0.0;
    while (x < 16.0) {
        correction += (x + 0.5) * log1p(1.0 / x) - 1.0;
        x += 1.0;
    }
    double y = 1.0 / (x * x), s = -691.0 / 360360.0 + y / 156.0;
    s = 1.0 / 1188.0 + y * s;
    s = -1.0 / 1680.0 + y * s;
    s = 1.0 / 1260.0 + y * s;
    s = -1.0 / 360.0 + y * s;
    s = 1.0 / 12.0 + y * s;
    return correction + s / x;
}

static double deviance(double d, double mean) { /* x log(x / mean) - d, x = mean + d */
    double x = mean + d;
    if (x <= 0.0) return -d;
    if (fabs(d) < 0.1 * (x + mean)) {
        double v = d / (x + mean), square = v * v, term = 2.0 * x * v * square, total = d * v, j = 3.0;
        for (;;) {
            double next = total + term / j;
            if (next == total) return total;
            total = next;
            term *= square;
            j += 2.0;
        }
    }
    return x * log(x / mean) - d;
}

static double beta_fraction(double a, double b, double x, double y, double excess) { /* Didonato and Morris, eq. 9 */
    double b_n = a * (excess + 1.0) / (a + 1.0), value = b_n, c = b_n, d = 0.0, n = 0.0;
    for (int i = 0; i < 1000000; i++) {
        n += 1.0;
        double odd = a + 2.0 * n - 1.0;
        double a_n = ((a + n - 1.0) / odd) * ((a + b + n - 1.0) / odd) * n * (b - n) * x * x;
        b_n = n + n * (b - n) * x / odd + (a + n) * (excess + 1.0 + n * (1.0 + y)) / (odd + 2.0);
        d = 1.0 / (b_n + a_n * d);
        c = b_n + a_n / c;
        value *= c * d;
        if (fabs(c * d - 1.0) <= 0x1p-52) break;
    }
    return 1.0 / value;
}

/* The tail of the law on the side of k away from the mean; 1 if it is P(X <= k), 0 if P(X > k). */
static int tail(double k, double size, double mean, double *value, double *probability) {
    double total = size + mean, p = mean / total, q = size / total, trials = size + k, d = (k - mean) * q;
    if (k == 0.0)
        *probability = exp(-size * log1p(mean / size));
    else
        *probability = exp(stirling_error(trials) - stirling_error(k) - stirling_error(size) -
                           deviance(d, trials * p) - deviance(-d, trials * q)) *
                       sqrt(size / (2 * M_PI * k * trials));
    double scale = *probability * p * trials;
    int lower = d + q < 0.0;
    *value = lower ? scale * beta_fraction(size, k + 1.0, q, p, -d - q) : scale * beta_fraction(k + 1.0, size, p, q, d + q);
    return lower;
}

static int reaches(double u, double k, double size, double mean) {
    double value, probability;
    return tail(k, size, mean, &value, &probability) ? value >= u : value <= 1.0 - u;
}

static double ratio(double k, double size, double mean) { return (size + k) / (k + 1.0) * (mean / (size + mean)); }

static double search(double u, double size, double mean, double start) { /* exact tails, Newton and a short walk */
    double no = -1.0, yes = INFINITY, k = start, reach = 4.0 + k;
    int turns = 0;
    while (yes - no > 1.0) {
        k = least(most(k, no + 1.0), yes - 1.0);
        double value, probability;
        int lower = tail(k, size, mean, &value, &probability);
        double target = lower ? u : 1.0 - u;
        if ((value >= target) == lower || value == target) yes = k;
        else no = k;
        double gap = fabs(value - target);
        if (gap < 40.0 * probability) {
            double doubt = 1e-12 * most(value, target);
            if (yes == k) {
                while (k > no + 1.0) {
                    value += lower ? -probability : probability;
                    probability /= ratio(k - 1.0, size, mean);
                    k -= 1.0;
                    int reached = fabs(value - target) <= doubt ? reaches(u, k, size, mean) : (value > target) == lower;
                    if (!reached) return k + 1.0;
                    yes = k;
                }
            } else {
                for (int steps = 0; k < yes - 1.0 && steps < 160; steps++) {
                    probability *= ratio(k, size, mean);
                    value += lower ? probability : -probability;
                    k += 1.0;
                    int reached = fabs(value - target) <= doubt ? reaches(u, k, size, mean) : (value > target) == lower;
                    if (reached) return k;
                    no = k;
                }
            }
            continue;
        }
        if (++turns > 16 && yes < INFINITY) {
            k = floor(0.5 * (no + yes));
            continue;
        }
        double step = value > 0.0 && probability > 0.0 ? log(target / value) * (value / probability) : INFINITY;
        if (!lower) step = -step;
        if (lower && size < 20.0 && fabs(step) < 1e3 * (k + 1.0)) step = (k + 1.0) * expm1(least(step / (k + 1.0), 3.0));
        k += ceil(least(most(step, -reach), reach));
        reach *= 4.0;
    }
    return yes;
}

static double negative_binomial(double u, double size, double mean) {
    if (mean <= 0.0) return 0.0;
    double r = mean / size, variance = mean * (1.0 + r), slope = 1.0 + 2.0 * r, square = slope * slope;
    int skewed = square * square > 20.0 * variance * sqrt(variance);
    if (variance < 12.0 || (skewed && mean < 60.0)) {
        if (u >= 1.0 - 1e-5) return search(u, size, mean, floor(mean + 0.5));
        double odds = mean / (size + mean), term = exp(-size * log1p(r)), total = term, k = 0.0;
        while (total < u) {
            term *= odds * (size + k) / (k + 1.0);
            total += term;
            k += 1.0;
        }
        return k;
    }
    double z = normal_quantile(u), v = variance - 1.0 / 12.0, sd = sqrt(v), scale = variance / v, s = z * z;
    double l3 = scale * slope / sd, l4 = (0.5 * variance * (3.0 * square - 1.0) + 1.0 / 120.0) / (v * v);
    double l5 = scale * slope * (3.0 * square - 2.0) / (v * sd);
    double w = z + l3 * (s - 1.0) / 6.0;
    w += z * (l4 * (s - 3.0) / 24.0 - l3 * l3 * (2.0 * s - 5.0) / 36.0);
    w += l5 * ((s - 6.0) * s + 3.0) / 120.0;
    w += l3 * (l3 * l3 * ((12.0 * s - 53.0) * s + 17.0) / 324.0 - l4 * ((s - 5.0) * s + 2.0) / 24.0);
    double x = mean + sd * w + 0.5;
    if (1e-5 < u && u < 1.0 - 1e-5) {
        double wide = sqrt(variance);
        double tolerance = (1.0 + 0.05 * square * square) * (0.04 + 0.03 * s * s) / (variance * wide) + 1e-9 +
                           1e-15 * (mean + 20.0 * wide);
        if (tolerance < 0.25) {
            double nearest = floor(x + 0.5);
            if (fabs(x - nearest) > tolerance && x >= 0.0) return floor(x);
            x = nearest - 1.0;
        }
    }
    return search(u, size, mean, floor(most(x, 0.0)));
}

/* ------------------------------------------------------------------------------------------ rate of return */

enum { FOUND, NO_INVESTMENT, TOTAL_LOSS, SEVERAL_ROOTS, NO_ROOT };

static double annual(double x) { return expm1(least(-x * A_YEAR, log(1e150))); }

static double one_change(const double *c, int n, int split, double x, double lo, double hi) {
    for (int turn = 0; turn < 200; turn++) {
        double v = exp(x), u = 1.0 / v, a0 = 0, a1 = 0, a2 = 0, b0 = 0, b1 = 0, b2 = 0, power = 1.0, lag = 0.0;
        for (int t = split; t < n; t++) {
            double a = c[t] * power, b = a * lag;
            a0 += a;
            a1 += b;
            a2 += b * lag;
            power *= v;
            lag += 1.0;
        }
        power = u;
        lag = 1.0;
        for (int t = split - 1; t >= 0; t--) {
            double a = c[t] * power, b = a * lag;
            b0 += a;
            b1 += b;
            b2 += b * lag;
            power *= u;
            lag += 1.0;
        }
        double h = log(-a0 / b0);
        if (!(fabs(h) < 1e300)) h = x;
        if (h > 0.0) hi = x;
        else lo = x;
        double mean_a = a1 / a0, mean_b = b1 / b0, slope = mean_a + mean_b;
        double bend = (a2 / a0 - mean_a * mean_a) - (b2 / b0 - mean_b * mean_b);
        if (slope <= n && fabs(bend) <= (double)n * n) {
            double step = -2.0 * h * slope / most(2.0 * slope * slope - h * bend, slope * slope);
            if (fabs(step) * n <= 3e-5) return least(most(x + step, lo), hi);
            x += step;
            if (lo < x && x < hi) continue;
        }
        x = 0.5 * (lo + hi);
        if (hi - lo <= 1e-15 * fabs(x)) return x;
    }
    return x;
}

/* log(positive / negative) at x, its first two derivatives, and the relative present value */
static void sides(const double *c, int n, double x, double *h, double *slope, double *bend, double *value) {
    double p0 = 0, p1 = 0, p2 = 0, q0 = 0, q1 = 0, q2 = 0, power = 1.0, lag = 0.0, v = exp(-fabs(x));
    int forward = x <= 0.0, at = forward ? 0 : n - 1, stride = forward ? 1 : -1;
    for (int i = 0; i < n; i++) {
        double a = c[at] * power, p = fabs(a) + a, q = fabs(a) - a;
        p0 += p;
        q0 += q;
        p *= lag;
        q *= lag;
        p1 += p;
        q1 += q;
        p2 += p * lag;
        q2 += q * lag;
        power *= v;
        lag += 1.0;
        at += stride;
    }
    double mean_p = p1 / p0, mean_q = q1 / q0, s = mean_p - mean_q;
    *h = log(p0 / q0);
    *slope = forward ? s : -s;
    *bend = (p2 / p0 - mean_p * mean_p) - (q2 / q0 - mean_q * mean_q);
    *value = (p0 - q0) / (p0 + q0);
}

static double bracketed(const double *c, int n, double lo, double hi, double sign, double x) {
    double last = hi - lo;
    if (!(lo < x && x < hi)) x = 0.5 * (lo + hi);
    for (int turn = 0; turn < 300; turn++) {
        double h, slope, bend, value;
        sides(c, n, x, &h, &slope, &bend, &value);
        if (value == 0.0) return x;
        h *= sign;
        slope *= sign;
        bend *= sign;
        if (h > 0.0) hi = x;
        else lo = x;
        if (hi - lo <= 4 * 0x1p-52 * fabs(x) || hi - lo < 1e-300) return x;
        if (slope > 0.0 && fabs(h) < 1e300) {
            double step = -2.0 * h * slope / most(2.0 * slope * slope - h * bend, slope * slope);
            if (fabs(step) * n <= 3e-5 && step * step * n * n * n <= 1e-9 * slope) return least(most(x + step, lo), hi);
            if (fabs(step) < 0.5 * last && lo < x + step && x + step < hi) {
                last = fabs(step);
                x += step;
                continue;
            }
        }
        last = 0.5 * (hi - lo);
        x = lo + last;
        if (!(lo < x && x < hi)) return x;
    }
    return x;
}

static void outer_bounds(const double *c, int n, double *lo, double *hi) { /* Cauchy's, from either end */
    double head = 0.0, foot = 0.0;
    for (int t = 0; t < n; t++) {
        if (c[t] * c[0] < 0.0) head = most(head, fabs(c[t]));
        if (c[t] * c[n - 1] < 0.0) foot = most(foot, fabs(c[t]));
    }
    *lo = log(fabs(c[0])) - log(fabs(c[0]) + head);
    *hi = log(fabs(c[n - 1]) + foot) - log(fabs(c[n - 1]));
}

static int bound_on_roots(const double *c, int n, int backward) { /* Descartes' rule on cumulative sums; -1: unsure */
    double single = 0, twice = 0, single_gross = 0, twice_gross = 0;
    int positive = c[backward ? n - 1 : 0] > 0.0, single_is = positive, twice_is = positive;
    int changes = 0, twice_changes = 0, single_sure = 1, twice_sure = 1;
    for (int s = 0; s < n; s++) {
        double a = c[backward ? n - 1 - s : s], margin = 2.0 * s * 0x1p-52;
        single += a;
        twice += single;
        single_gross += fabs(a);
        twice_gross += single_gross;
        single_sure = fabs(single) > margin * single_gross;
        twice_sure = twice_sure && fabs(twice) > margin * twice_gross;
        if (!single_sure) changes = n;
        if ((single > 0.0) != single_is) changes++, single_is = !single_is;
        if ((twice > 0.0) != twice_is) twice_changes++, twice_is = !twice_is;
    }
    if (!single_sure) return -1;
    if (twice_is != single_is) twice_changes++;
    if (twice_sure) return changes < twice_changes ? changes : twice_changes;
    return changes < n ? changes : -1;
}

static int isolate(const double *c, int n, double *roots) { /* all real roots, by Descartes' rule and Rolle's theorem */
    static _Thread_local double levels[T + 1][T + 1], points[2 * T + 6], found[2 * T + 6];
    int changes = 0, depth = 1, size = 0;
    double last = c[0];
    for (int t = 0; t < n; t++)
        if (c[t] * copysign(1.0, last) < 0.0) changes++, last = c[t];
    if (changes == 0) return 0;
    memcpy(levels[0], c, n * sizeof *c);
    for (int level = 1; level < changes; level++) {
        const double *above = levels[level - 1];
        int before = 0, after = -1;
        for (int t = 1; t < n; t++) {
            if (above[t] == 0.0) continue;
            if ((above[t] > 0.0) != (above[before] > 0.0)) {
                after = t;
                break;
            }
            before = t;
        }
        if (after < 0) break;
        double m = 0.5 * (before + after), largest = 0.0;
        for (int t = 0; t < n; t++) {
            levels[level][t] = above[t] * ((t - m) / n);
            largest = most(largest, fabs(levels[level][t]));
        }
        for (int t = 0; t < n; t++) levels[level][t] /= largest;
        if (levels[level][0] == 0.0 || levels[level][n - 1] == 0.0) break;
        depth = level + 1;
    }
    for (int level = depth - 1; level >= 0; level--) {
        const double *row = levels[level];
        double tolerance = level == 0 ? 2.0 * n * 0x1p-52 : 0.0, lo, hi, h, slope, bend, value;
        outer_bounds(row, n, &lo, &hi);
        int count = 0;
        double left = lo, left_sign = copysign(1.0, row[0]);
        for (int k = 0; k <= size; k++) {
            double right = hi, right_sign = copysign(1.0, row[n - 1]);
            if (k < size) {
                right = points[k];
                if (right <= lo || right >= hi) continue;
                sides(row, n, right, &h, &slope, &bend, &value);
                right_sign = fabs(value) <= tolerance ? 0.0 : copysign(1.0, value);
            }
            if (right_sign == 0.0) found[count++] = right;
            else if (left_sign * right_sign < 0.0)
                found[count++] = bracketed(row, n, left, right, right_sign, 0.5 * (left + right));
            left = right;
            left_sign = right_sign;
        }
        size = count;
        memcpy(points, found, count * sizeof *points);
    }
    int kept = 0;
    for (int k = 0; k < size; k++) {
        if (kept > 0) {
            double middle = 0.5 * (roots[kept - 1] + points[k]), h, slope, bend, value;
            sides(c, n, middle, &h, &slope, &bend, &value);
            if (fabs(value) <= 2.0 * n * 0x1p-52) {
                roots[kept - 1] = middle;
                continue;
            }
        }
        roots[kept++] = points[k];
    }
    return kept;
}

static int many_changes(const double *c, int n, double multiple, double x, double *rate) {
    int above = bound_on_roots(c, n, 0), below = above == 0 || above == 1 ? bound_on_roots(c, n, 1) : -1;
    if (below >= 0 && above + below == 0) return NO_ROOT;
    if (below >= 0 && above + below == 1) {
        double lo, hi, sign;
        outer_bounds(c, n, &lo, &hi);
        if (above == 1) hi = 0.0, sign = -copysign(1.0, c[0]);
        else lo = 0.0, sign = copysign(1.0, c[n - 1]);
        *rate = annual(bracketed(c, n, lo, hi, sign, x));
        return FOUND;
    }
    double roots[2 * T + 6], h, slope, bend, value;
    int size = isolate(c, n, roots);
    if (size == 0) return NO_ROOT;
    sides(c, n, 0.0, &h, &slope, &bend, &value);
    if (fabs(value) <= n * 0x1p-52) {
        int nearest = 0;
        for (int k = 1; k < size; k++)
            if (fabs(roots[k]) < fabs(roots[nearest])) nearest = k;
        if (fabs(roots[nearest]) < 1e-6) roots[nearest] = 0.0;
    }
    double wanted = multiple > 1.0 + 1e-9 ? 1.0 : multiple < 1.0 - 1e-9 ? -1.0 : 0.0, best = NAN;
    int best_agrees = 0;
    for (int k = 0; k < size; k++) {
        double each = annual(roots[k]);
        int agrees = each * wanted > 0.0;
        if (k == 0 || (agrees && !best_agrees) || (agrees == best_agrees && fabs(each) < fabs(best)))
            best = each, best_agrees = agrees;
    }
    *rate = best;
    return size > 1 ? SEVERAL_ROOTS : FOUND;
}

static int irr(const double *f, int n, double *rate) {
    double p = 0, p1 = 0, p2 = 0, q = 0, q1 = 0, q2 = 0;
    int changes = 0, first = -1, split = 0, last = 0, sign = 0;
    *rate = NAN;
    for (int t = 0; t < n; t++) {
        if (f[t] > 0.0) {
            double g = f[t] * t;
            p += f[t];
            p1 += g;
            p2 += g * t;
            if (sign <= 0) {
                if (sign < 0) changes++, split = t;
                else first = t;
                sign = 1;
            }
            last = t;
        } else if (f[t] < 0.0) {
            double g = f[t] * t;
            q -= f[t];
            q1 -= g;
            q2 -= g * t;
            if (sign >= 0) {
                if (sign > 0) changes++, split = t;
                else first = t;
                sign = -1;
            }
            last = t;
        }
    }
    if (q == 0.0) return NO_INVESTMENT;
    if (p == 0.0) {
        *rate = -1.0;
        return TOTAL_LOSS;
    }
    double mean_p = p1 / p, mean_q = q1 / q, h = log(p / q), slope = mean_p - mean_q;
    double bend = (p2 / p - mean_p * mean_p) - (q2 / q - mean_q * mean_q), x = 0.0;
    if (slope != 0.0) x = -2.0 * h * slope / most(2.0 * slope * slope - h * bend, slope * slope);
    if (changes > 1) return many_changes(f + first, last + 1 - first, p / q, x, rate);
    if (fabs(p - q) <= n * 0x1p-52 * q) {
        *rate = 0.0;
        return FOUND;
    }
    if (f[first] > 0.0) h = -h;
    double lo = h > 0.0 ? -h : -h / (last - first), hi = h > 0.0 ? -h / (last - first) : -h;
    *rate = annual(one_change(f + first, last + 1 - first, split - first, least(most(x, lo), hi), lo, hi));
    return FOUND;
}

/* ------------------------------------------------------------------------------------------ one draw */

enum {
    PAYMENTS, COST, IRR, MULTIPLE, HEADLINES,
    PAYMENTS_PV = HEADLINES, UNCAPPED, COST_PV, ON_COMMITTED, ON_PEAK, NPV, PAYBACK, PEAK, SURPLUS, LOWEST,
    BY_YEAR, VERIFIED = BY_YEAR + YEARS, TRUE_ONES, WITHOUT, ADDITIONAL, SERIES
};
enum { MEN, LEVEL, EFFECT, SHARE, BIAS, REPORTING, DELIVERY, HAZARD, POLICY, LUCK, ARMS = LUCK + COHORTS, KEYS = ARMS + COHORTS };

typedef struct {
    int met[COHORTS + 2], paid, codes[5], hurdle, hurdle_of, lost, total_loss, broken;
    double count[SERIES], mean[SERIES], m2[SERIES];
    double loss_count, loss_mean, loss_m2, pair[2][6];
} Found;

static uint64_t keys[KEYS];
static double *series[SERIES], planned[T + 2];
static long draws;
static Found *blocks;
static atomic_long next_block, next_series;
static _Thread_local double scratch[SERIES][BLOCK]; /* secondary series of the block at hand */

static double settle(double owed, double *paid, double *receipts, int at) {
    double amount = least(owed, most(MOST - *paid, 0.0));
    *paid += amount;
    receipts[at] += amount;
    return amount;
}

static void play(long d, Found *own, double *real, double *counted, double *additional_in_time) {
    double u[9];
    for (int i = 0; i < 9; i++) u[i] = uniform(keys[i], d, 0);
    double level = most(0.0, 1.5 + 0.15 * normal_quantile(u[LEVEL]));
    double effect = -0.075 + 0.06 * normal_quantile(u[EFFECT]), bias = most(-1.0, 0.03 * normal_quantile(u[BIAS]));
    double share = chance(u[SHARE], 0.5, 0.9), hazard = chance(u[HAZARD], 0.01, 0.06);
    double delivery = triangular(u[DELIVERY], 500e3, 550e3, 650e3), served = most(0.0, level * (1 + effect));
    double people = floor(PEOPLE * triangular(u[MEN], 0.9, 1.0, 1.0) + 0.5);
    double effective = floor(ARM * people * share + 0.5);
    int lag = (int)ceil((3 + 6 * u[REPORTING]) / 3 - 1e-9);
    int stop = FIRST + (int)least(log(u[POLICY]) / log(1 - hazard) * A_YEAR, 1e6);
    if (stop >= LAST) stop = T + 1;

    double ours[COHORTS], base[COHORTS], without[COHORTS], extra[COHORTS];
    double verified = 0, true_without = 0, ours_in = 0, base_in = 0, extra_in = 0;
    int known = 0;
    for (int c = 0; c < COHORTS; c++) {
        double w = uniform(keys[LUCK + c], d, 0);
        ours[c] = negative_binomial(w, people * DISPERSION, people * served);
        without[c] = negative_binomial(w, people * DISPERSION, people * level);
        extra[c] = without[c] - ours[c];
        double arm = negative_binomial(uniform(keys[ARMS + c], d, 0), effective * DISPERSION, effective * level * (1 + bias));
        base[c] = people * arm / effective;
        if (END_OF[c] <= stop) {
            verified += ours[c];
            true_without += without[c];
            ours_in += ours[c];
            base_in += base[c];
            extra_in += extra[c];
            known = END_OF[c] + 6;
        } else if (stop > known) known = stop;
    }

    double receipts[T + 2] = {0}, paid = 0, uncapped = 0;
    int succeeded = 0;
    *real = *counted = 0.0;
    for (int c = 0; c < COHORTS; c++) {
        if (END_OF[c] > stop || !((base[c] - ours[c]) / base[c] >= BOUND - 1e-9)) continue;
        own->met[c]++;
        succeeded = 1;
        double units = most(base[c] - ours[c], 0.0);
        int at = END_OF[c] + 6 + lag < T ? END_OF[c] + 6 + lag : T;
        uncapped += PRICE * units;
        double amount = settle(PRICE * units, &paid, receipts, at);
        if (amount > 0 && units > 0) *real += amount * extra[c] / units, *counted += amount;
    }
    if (succeeded) own->met[COHORTS + 1]++;
    else if (base_in > 0 && (base_in - ours_in) / base_in >= POOLED - 1e-9 && known <= T) {
        own->met[COHORTS]++;
        double units = most(base_in - ours_in, 0.0);
        uncapped += PRICE * units;
        double amount = settle(PRICE * units, &paid, receipts, known + lag < T ? known + lag : T);
        if (amount > 0 && units > 0) *real += amount * extra_in / units, *counted += amount;
    }

    double flows[T + 1], cash = planned[1], called = cash, received = 0, arrears = 0, surplus = 0, lowest = 0;
    double payments_pv = 0, own_cost = 0, own_pv = 0, factor = 1.0, years[YEARS] = {0}, costs = 0, received_in = 0;
    int overdrawn = 0;
    const double discount = pow((1 + REAL_RATE) * (1 + INFLATION), -1.0 / A_YEAR);
    flows[0] = -cash;
    for (int t = 1; t <= T; t++) {
        int serving = t <= LAST && t <= stop;
        double due = (serving ? (delivery + MANAGEMENT) / A_YEAR : 0.0) + (t == 1 ? SET_UP : 0.0);
        double settled = least(cash, arrears + due);
        cash -= settled;
        arrears += due - settled;
        double provider = settled - due;
        cash += receipts[t];
        double back = least(cash, arrears);
        cash -= back;
        arrears -= back;
        double out = most(cash - (t < stop ? planned[T] - planned[t] : 0.0), 0.0);
        cash -= out;
        received += out;
        flows[t] = out;
        surplus += provider + back;
        lowest = least(lowest, surplus);
        if (t < T) {
            double need = (t < stop ? planned[t + 1] - planned[t] : 0.0) + arrears;
            if (need - cash > 1e-9 * need) {
                double call = least(need - cash, most(COMMITMENT - called, 0.0));
                cash += call;
                called += call;
                flows[t] -= call;
            }
        }
        costs += due;
        received_in += receipts[t];
        overdrawn |= cash < 0.0 || arrears < 0.0;
        factor *= discount;
        double payer = (serving ? OWN_A_YEAR / A_YEAR : 0.0) + (t == 1 ? OWN_SET_UP : 0.0);
        payments_pv += factor * receipts[t];
        own_cost += payer;
        own_pv += factor * payer;
        years[YEAR_OF[t]] += receipts[t] + payer;
    }
    double largest = 0, balance = 0, peak = 0, drawn = 0;
    for (int t = 0; t <= T; t++) largest = most(largest, fabs(flows[t]));
    for (int t = 0; t <= T; t++) {
        if (fabs(flows[t]) <= 1e-12 * largest) flows[t] = 0.0;
        balance += flows[t];
        peak = most(peak, -balance);
        drawn += flows[t] < 0 ? -flows[t] : 0;
    }
    /* the accounts: all parties together, the contract's limit, the commitment, and no account below zero */
    double gross = 1.0 + drawn + received + received_in + costs;
    own->broken += overdrawn || fabs(balance + surplus + costs + cash - received_in) > 1e-9 * gross ||
                   fabs(balance - (received - called)) > 1e-9 * gross || fabs(paid - received_in) > 1e-9 * gross ||
                   paid > MOST * (1 + 1e-9) || called > COMMITMENT * (1 + 1e-9);
    int since = -1;
    balance = 0;
    for (int t = 0; t <= T; t++) { /* capital is called at once, so that the first flow is paid in */
        balance += flows[t];
        if (balance < -1e-9 * drawn) since = -1;
        else if (since < 0) since = t;
    }
    double rate, npv = 0, v = exp(-log1p(HURDLE) / A_YEAR), multiple = 1 + (received - called) / called;
    own->codes[irr(flows, T + 1, &rate)]++;
    for (int t = T; t >= 0; t--) npv = npv * v + flows[t];

    series[PAYMENTS][d] = paid;
    series[COST][d] = paid + own_cost;
    series[IRR][d] = rate;
    series[MULTIPLE][d] = multiple;
    own->paid += paid > 0;
    own->hurdle += rate >= HURDLE - 1e-9;
    own->hurdle_of++;
    own->lost += multiple < 1 - 1e-9;
    own->total_loss += multiple <= 1e-9;
    *additional_in_time = 0;
    for (int c = 0; c < COHORTS; c++) *additional_in_time += END_OF[c] <= stop ? extra[c] : 0;
    double second[SERIES - HEADLINES] = {payments_pv, uncapped, payments_pv + own_pv, 1 + (received - called) / COMMITMENT,
                                         1 + (received - called) / peak, npv, since < 0 ? NAN : since / (double)A_YEAR,
                                         peak, surplus, lowest};
    for (int y = 0; y < YEARS; y++) second[BY_YEAR - HEADLINES + y] = years[y];
    second[VERIFIED - HEADLINES] = second[TRUE_ONES - HEADLINES] = verified;
    second[WITHOUT - HEADLINES] = true_without;
    second[ADDITIONAL - HEADLINES] = -(verified - true_without);
    for (int i = HEADLINES; i < SERIES; i++) scratch[i][d % BLOCK] = second[i - HEADLINES];
}

/* ------------------------------------------------------------------------------------------ blocks, moments */

static void merge(double *count, double *mean, double *m2, double n, double other, double squares) {
    if (n == 0) return;
    double all = *count + n, delta = other - *mean;
    *mean += delta * (n / all);
    *m2 += squares + delta * delta * (*count * (n / all));
    *count = all;
}

static void moments(const double *x, int n, double *count, double *mean, double *m2) {
    double number = 0, total = 0, squares = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(x[i])) number++, total += x[i];
    double middle = number > 0 ? total / number : 0;
    for (int i = 0; i < n; i++)
        if (!isnan(x[i])) squares += (x[i] - middle) * (x[i] - middle);
    *count = number;
    *mean = middle;
    *m2 = squares;
}

static void pair_moments(const double *x, const double *y, int n, double *found) {
    double sx = 0, sy = 0;
    for (int i = 0; i < n; i++) sx += x[i], sy += y[i];
    found[0] = n;
    found[1] = sx / n;
    found[2] = sy / n;
    for (int i = 0; i < n; i++) {
        double dx = x[i] - found[1], dy = y[i] - found[2];
        found[3] += dx * dx;
        found[4] += dy * dy;
        found[5] += dx * dy;
    }
}

static void *work(void *nothing) {
    static _Thread_local double real[BLOCK], counted[BLOCK], extra[BLOCK], losses[BLOCK];
    (void)nothing;
    long number = (draws + BLOCK - 1) / BLOCK;
    for (long b; (b = atomic_fetch_add(&next_block, 1)) < number;) {
        long start = b * BLOCK;
        int n = (int)(draws - start < BLOCK ? draws - start : BLOCK), lost = 0;
        Found *own = &blocks[b];
        for (int i = 0; i < n; i++) play(start + i, own, &real[i], &counted[i], &extra[i]);
        for (int s = 0; s < SERIES; s++) {
            const double *x = s < HEADLINES ? series[s] + start : scratch[s];
            moments(x, n, &own->count[s], &own->mean[s], &own->m2[s]);
            if (s >= HEADLINES && start < KEPT) memcpy(series[s] + start, x, n * sizeof *x);
        }
        for (int i = 0; i < n; i++)
            if (series[MULTIPLE][start + i] < 1 - 1e-9) losses[lost++] = 1 - series[MULTIPLE][start + i];
        moments(losses, lost, &own->loss_count, &own->loss_mean, &own->loss_m2);
        pair_moments(real, counted, n, own->pair[0]);
        pair_moments(series[COST] + start, extra, n, own->pair[1]);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------ quantiles */

static const double SHARES[5] = {0.05, 0.25, 0.50, 0.75, 0.95};
static double points[SERIES][5][3], maximum[SERIES], expected_shortfall;

static void ranks_of(long n, double q, long *ranks) { /* the order statistic, and the two that hold it with 95% */
    double sd = sqrt(n * q * (1 - q));
    long low = (long)most(0, floor(n * q - 12 * sd - 12)), high = (long)least(n, ceil(n * q + 12 * sd + 12));
    long size = high - low + 1, first = -1, last = -1;
    double *mass = malloc(size * sizeof *mass), total = 0, top = -INFINITY, sum = 0;
    mass[0] = 0;
    for (long k = 1; k < size; k++) mass[k] = mass[k - 1] + log((double)(n - low - k + 1) / (low + k)) + log(q / (1 - q));
    for (long k = 0; k < size; k++) top = most(top, mass[k]);
    for (long k = 0; k < size; k++) total += mass[k] = exp(mass[k] - top);
    for (long k = 0; k < size; k++) {
        sum += mass[k] / total;
        if (first < 0 && sum > 0.025) first = low + k;
        if (last < 0 && sum >= 0.975) last = low + k + 1;
    }
    free(mass);
    ranks[0] = (long)least(most(ceil(n * q - 1e-12 * n), 1), n);
    ranks[1] = (long)least(most(first, 1), n);
    ranks[2] = (long)least(most(last, 1), n);
}

/* Put the order statistics of ascending ranks (from 0) where they belong: quickselect on the parts that hold any. */
static void select_all(double *x, long low, long high, const long *ranks, int number) {
    while (number > 0 && high - low > 16) {
        double a = x[low], b = x[low + (high - low) / 2], c = x[high - 1];
        double pivot = most(least(a, b), least(most(a, b), c));
        long i = low - 1, j = high;
        for (;;) {
            while (x[++i] < pivot) {}
            while (x[--j] > pivot) {}
            if (i >= j) break;
            double swap = x[i];
            x[i] = x[j];
            x[j] = swap;
        }
        long split = i > j ? i : (i == low ? i + 1 : i);
        int left = 0;
        while (left < number && ranks[left] < split) left++;
        select_all(x, low, split, ranks, left);
        low = split;
        ranks += left;
        number -= left;
    }
    if (number == 0) return;
    for (long i = low + 1; i < high; i++) {
        double value = x[i];
        long j = i;
        for (; j > low && x[j - 1] > value; j--) x[j] = x[j - 1];
        x[j] = value;
    }
}

static int by_rank(const void *a, const void *b) {
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static void *rank_series(void *nothing) {
    (void)nothing;
    for (long s; (s = atomic_fetch_add(&next_series, 1)) < SERIES;) {
        long size = s < HEADLINES || draws < KEPT ? draws : KEPT, n = 0;
        double *x = malloc(size * sizeof *x); /* a copy: the draws are kept in their order */
        maximum[s] = -INFINITY;
        for (long i = 0; i < size; i++)
            if (!isnan(series[s][i])) x[n++] = series[s][i], maximum[s] = most(maximum[s], series[s][i]);
        if (n > 0) {
            long ranks[16], sorted[16];
            for (int q = 0; q < 5; q++) ranks_of(n, SHARES[q], ranks + 3 * q);
            for (int i = 0; i < 15; i++) sorted[i] = ranks[i] - 1;
            qsort(sorted, 15, sizeof *sorted, by_rank);
            select_all(x, 0, n, sorted, 15);
            for (int i = 0; i < 15; i++) points[s][i / 3][i % 3] = x[ranks[i] - 1];
            if (s == MULTIPLE) { /* what lies below the 5th percentile stands before it now */
                double gaps = 0, q = x[ranks[0] - 1];
                for (long i = 0; i < ranks[0]; i++) gaps += q - x[i];
                expected_shortfall = q - gaps / most(n * 0.05, 1);
            }
        }
        free(x);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------ the whole */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void on_threads(int threads, void *(*function)(void *)) {
    pthread_t all[64];
    for (int i = 1; i < threads; i++) pthread_create(&all[i], NULL, function, NULL);
    function(NULL);
    for (int i = 1; i < threads; i++) pthread_join(all[i], NULL);
}

static void show(const char *name, double value) {
    if (isfinite(value)) printf("\"%s\": %.17g, ", name, value);
    else printf("\"%s\": null, ", name);
}

int main(int argc, char **argv) {
    static const char *NAMES[SERIES] = {
        "payments", "cost", "irr", "multiple", "payments_present_value", "uncapped_payments", "cost_present_value",
        "multiple_on_committed", "multiple_on_peak", "net_present_value", "payback", "peak_funding_need", "surplus",
        "lowest_cash", "year 0", "year 1", "year 2", "year 3", "year 4", "year 5", "year 6", "year 7", "year 8",
        "year 9", "verified", "true", "without_service", "additional"};
    if (argc < 4) return fprintf(stderr, "usage: peterborough DRAWS THREADS SEED [FILE]\n"), 2;
    draws = atol(argv[1]);
    int threads = atoi(argv[2]);
    uint64_t seed = strtoull(argv[3], NULL, 10);
    if (draws < 1 || threads < 1 || threads > 64) return fprintf(stderr, "draws and threads must be 1 or more\n"), 2;
    double begun = now();
    for (int i = 0; i < KEYS; i++) keys[i] = mixed(mixed(seed) + i);
    for (int t = 1; t <= T; t++)
        planned[t] = planned[t - 1] + (t <= LAST ? (PLANNED_DELIVERY + MANAGEMENT) / A_YEAR : 0) + (t == 1 ? SET_UP : 0);
    for (int s = 0; s < SERIES; s++)
        series[s] = malloc(((s < HEADLINES || draws < KEPT ? draws : KEPT) + BLOCK) * sizeof(double));
    long number = (draws + BLOCK - 1) / BLOCK;
    blocks = calloc(number, sizeof *blocks);
    on_threads(threads, work);
    Found all = {0};
    for (long b = 0; b < number; b++) {
        Found *own = &blocks[b];
        for (int i = 0; i < COHORTS + 2; i++) all.met[i] += own->met[i];
        for (int i = 0; i < 5; i++) all.codes[i] += own->codes[i];
        all.paid += own->paid;
        all.hurdle += own->hurdle;
        all.hurdle_of += own->hurdle_of;
        all.lost += own->lost;
        all.total_loss += own->total_loss;
        all.broken += own->broken;
        for (int s = 0; s < SERIES; s++)
            merge(&all.count[s], &all.mean[s], &all.m2[s], own->count[s], own->mean[s], own->m2[s]);
        merge(&all.loss_count, &all.loss_mean, &all.loss_m2, own->loss_count, own->loss_mean, own->loss_m2);
        for (int p = 0; p < 2; p++) {
            double *x = all.pair[p], *y = own->pair[p], count = x[0] + y[0], share = y[0] / count, weight = x[0] * share;
            double dx = y[1] - x[1], dy = y[2] - x[2];
            x[1] += dx * share;
            x[2] += dy * share;
            x[3] += y[3] + dx * dx * weight;
            x[4] += y[4] + dy * dy * weight;
            x[5] += y[5] + dx * dy * weight;
            x[0] = count;
        }
    }
    if (all.broken) return fprintf(stderr, "the accounts of %d draws do not balance\n", all.broken), 1;
    on_threads(threads, rank_series);
    double seconds = now() - begun;

    printf("{");
    show("seconds", seconds);
    show("a cohort succeeds", all.met[COHORTS + 1] / (double)draws);
    show("cohort 1", all.met[0] / (double)draws);
    show("cohort 2", all.met[1] / (double)draws);
    show("cohort 3", all.met[2] / (double)draws);
    show("all cohorts together", all.met[COHORTS] / (double)draws);
    show("any payment", all.paid / (double)draws);
    show("probability_of_loss", all.lost / (double)draws);
    show("probability_of_total_loss", all.total_loss / (double)draws);
    show("probability_of_hurdle", all.hurdle / (double)all.hurdle_of);
    show("loss_given_loss", all.loss_mean);
    show("expected_shortfall_05", expected_shortfall);
    show("irr undefined", all.codes[NO_ROOT] + all.codes[NO_INVESTMENT]);
    show("irr several", all.codes[SEVERAL_ROOTS]);
    show("deadweight_share", 1 - all.pair[0][1] / all.pair[0][2]);
    show("cost_per_additional_outcome", all.pair[1][1] / all.pair[1][2]);
    for (int s = 0; s < SERIES; s++) {
        printf("\"%s\": {", NAMES[s]);
        show("mean", all.mean[s]);
        show("sd", sqrt(all.m2[s] / (all.count[s] - 1)));
        show("count", all.count[s]);
        for (int q = 0; q < 5; q++) {
            static const char *Q[5] = {"p05", "p25", "p50", "p75", "p95"};
            show(Q[q], points[s][q][0]);
            printf("\"%s interval\": [%.17g, %.17g], ", Q[q], points[s][q][1], points[s][q][2]);
        }
        printf("\"maximum\": %.17g}, ", maximum[s]);
    }
    long peak = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &peak);
    printf("\"peak_kb\": %ld}\n", peak);
    if (argc > 4) { /* payments, multiple and rate of return of each draw, for a comparison */
        FILE *out = fopen(argv[4], "wb");
        static const int KEEP[3] = {PAYMENTS, MULTIPLE, IRR};
        for (int i = 0; i < 3; i++) fwrite(series[KEEP[i]], sizeof(double), draws, out);
        fclose(out);
    }
    return 0;
}
